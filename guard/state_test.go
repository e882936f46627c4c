package guard

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// survey is what a healthy cluster of three is found to be.
func survey() *snapshot.Survey {
	s := &snapshot.Survey{ClusterID: 0xc, Quorum: true, R0: 500}
	for i, name := range []string{"m1", "m2", "m3"} {
		id, url := uint64(i+1), "https://10.0.0."+name[1:]+":2379"
		s.Members = append(s.Members, snapshot.Member{Name: name, ID: id, PeerURLs: []string{"https://10.0.0." + name[1:] + ":2380"}, ClientURLs: []string{url}})
		s.Answered = append(s.Answered, snapshot.Endpoint{URL: url, MemberID: id, Name: name, Version: "3.6.16", Committed: 900 + id, HasLeader: true, Leader: i == 0})
	}
	return s
}

// silent makes the third endpoint one that does not answer, under the given address.
func silent(s *snapshot.Survey, url string) {
	s.Answered = s.Answered[:2]
	err := &snapshot.EndpointError{Endpoint: url, Kind: snapshot.ErrUnavailable, Err: errors.New("connection refused"), Hint: "is etcd running there?"}
	s.Excluded = append(s.Excluded, snapshot.Exclusion{Endpoint: url, Reason: "connection refused", Err: err})
}

func TestAStateNamesWhatIsWrong(t *testing.T) {
	report := func(ok bool, members ...catalog.MemberResult) *catalog.Report {
		return &catalog.Report{OK: ok, Detail: "nobody knows which", Members: members, Time: time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)}
	}
	for name, c := range map[string]struct {
		change func(*snapshot.Survey)
		check  *catalog.Report
		want   []ProblemKind
		says   string // by the error or its hint
	}{
		"a healthy cluster":          {},
		"equal when last compared":   {check: report(true, catalog.MemberResult{MemberID: 2, Name: "m2", OK: true})},
		"a member down":              {change: func(s *snapshot.Survey) { silent(s, "https://10.0.0.3:2379") }, want: []ProblemKind{Down}, says: "m3 at https://10.0.0.3:2379 does not answer: connection refused"},
		"a member down, by a name":   {change: func(s *snapshot.Survey) { silent(s, "https://node-3:2379") }, want: []ProblemKind{Down}, says: "https://node-3:2379 does not answer"},
		"a member that nobody named": {change: func(s *snapshot.Survey) { s.Answered = s.Answered[:2] }, want: []ProblemKind{NotAsked}, says: "--endpoints https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:2379"},
		"a member by two names":      {change: func(s *snapshot.Survey) { s.Answered = append(s.Answered, s.Answered[0]) }},
		"one that was never started": {change: func(s *snapshot.Survey) {
			s.Members = append(s.Members, snapshot.Member{ID: 0xab, PeerURLs: []string{"https://10.0.0.4:2380"}})
		}, want: []ProblemKind{NotJoined}, says: "member ab at https://10.0.0.4:2380 was added and never started"},
		"a learner": {change: func(s *snapshot.Survey) {
			s.Answered[2].Learner, s.Answered[2].Unread = true, errors.New("not supported for learner")
		}},
		"one without a leader":    {change: func(s *snapshot.Survey) { s.Answered[2].HasLeader = false }, want: []ProblemKind{Unserving}, says: "m3 at https://10.0.0.3:2379 knows no leader"},
		"one that serves no read": {change: func(s *snapshot.Survey) { s.Answered[2].Unread = errors.New("no answer within 5s") }, want: []ProblemKind{Unserving}, says: "m3 serves no linearizable read: no answer within 5s"},
		"one that lags": {change: func(s *snapshot.Survey) {
			s.Excluded = []snapshot.Exclusion{{Endpoint: s.Answered[2].URL, Reason: "lags: at revision 1"}}
		}, want: []ProblemKind{Lagging}, says: "m3 at https://10.0.0.3:2379 lags"},
		"an alarm of a member":        {change: func(s *snapshot.Survey) { s.Alarms = []snapshot.Alarm{{Kind: "NOSPACE", MemberID: 2}} }, want: []ProblemKind{Alarmed}, says: "the alarm NOSPACE of m2 is raised"},
		"an alarm of nobody":          {change: func(s *snapshot.Survey) { s.Alarms = []snapshot.Alarm{{Kind: "CORRUPT"}} }, want: []ProblemKind{Alarmed}, says: "the alarm CORRUPT is raised"},
		"no quorum":                   {change: func(s *snapshot.Survey) { s.Quorum, s.R0 = false, 0 }, want: []ProblemKind{NoQuorum}, says: "no quorum"},
		"one found different":         {check: report(false, catalog.MemberResult{MemberID: 2, Name: "m2", Detail: "differs from the majority"}), want: []ProblemKind{Different}, says: "the cross-check of 2026-11-20T03:00:00Z found that m2 differs"},
		"one found different is gone": {check: report(false, catalog.MemberResult{MemberID: 9, Name: "m9", Detail: "differs from the majority"})},
		"different, nobody knows who": {check: report(false, catalog.MemberResult{MemberID: 2, OK: true}), want: []ProblemKind{Different}, says: "nobody knows which"},
	} {
		t.Run(name, func(t *testing.T) {
			found := survey()
			if c.change != nil {
				c.change(found)
			}
			got := read(found, c.check, time.Now())
			var kinds []ProblemKind
			for _, p := range got.Problems {
				kinds = append(kinds, p.Kind)
			}
			if !slices.Equal(kinds, c.want) {
				t.Errorf("got %+v, want %v", got.Problems, c.want)
			}
			var e *UnhealthyError
			if err := got.Err(); (err != nil) != (len(c.want) > 0) {
				t.Errorf("the error is %v", err)
			} else if err != nil && (!errors.As(err, &e) || !errors.Is(err, snapshot.ErrUnavailable) || !strings.Contains(e.Error()+"\n"+e.Hint(), c.says)) {
				t.Errorf("the error is %v, its hint %q", err, e.Hint())
			}
		})
	}
}

func TestAStateHoldsWhatIsComparedLater(t *testing.T) {
	got := read(survey(), nil, time.Now())
	want := Member{Name: "m1", ID: 1, Version: "3.6.16", Leader: true, Answered: true}
	if got.ClusterID != 0xc || !got.Quorum || got.Revision != 500 || got.RaftIndex != 903 || len(got.Members) != 3 || got.Members[0] != want {
		t.Errorf("got %+v", got)
	}
}
