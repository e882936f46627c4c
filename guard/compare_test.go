package guard

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// three is a healthy cluster of three members that run etcd of a version.
func three(version string) State {
	return State{
		ClusterID: 0xc, Quorum: true, Revision: 500, RaftIndex: 900,
		Members: []Member{
			{Name: "m1", ID: 1, Version: version, Leader: true, Answered: true},
			{Name: "m2", ID: 2, Version: version, Answered: true},
			{Name: "m3", ID: 3, Version: version, Answered: true},
		},
	}
}

func with(s State, change func(*State)) State {
	s.Members = slices.Clone(s.Members)
	change(&s)
	return s
}

func TestCompareTellsWhatBecameOfACluster(t *testing.T) {
	down := Problem{Down, "m3", "m3 does not answer"}
	healthy := three("3.6.16")
	for name, c := range map[string]struct {
		before, after State
		reached       int64
		lost          int
		problems      []Problem
		remaining     []Problem
		changes       []string
	}{
		"nothing": {before: healthy, after: healthy},
		"an upgrade": {
			before: healthy, after: with(three("3.7.3"), func(s *State) { s.Revision, s.RaftIndex = 510, 930 }),
			changes: []string{"m1: etcd 3.6.16 → 3.7.3", "m2: etcd 3.6.16 → 3.7.3", "m3: etcd 3.6.16 → 3.7.3"},
		},
		"half an upgrade": {
			before: healthy, after: with(healthy, func(s *State) { s.Members[0].Version = "3.7.3" }),
			changes: []string{"m1: etcd 3.6.16 → 3.7.3", "the members run different versions of etcd: [3.6.16 3.7.3]"},
		},
		"another cluster":             {before: healthy, after: with(healthy, func(s *State) { s.ClusterID = 0xd }), lost: 1},
		"wiped, with the same id":     {before: healthy, after: with(healthy, func(s *State) { s.Revision, s.RaftIndex = 1, 8 }), lost: 2},
		"wiped, and written to since": {before: healthy, after: with(healthy, func(s *State) { s.Revision, s.RaftIndex = 501, 600 }), lost: 1},
		"wiped, and written to until every number is higher but the term": {
			before: with(healthy, func(s *State) { s.RaftTerm = 7 }), lost: 1,
			after: with(healthy, func(s *State) { s.Revision, s.RaftIndex, s.RaftTerm = 9000, 9900, 2 }),
		},
		"an election":      {before: with(healthy, func(s *State) { s.RaftTerm = 7 }), after: with(healthy, func(s *State) { s.RaftTerm = 8 })},
		"below the backup": {before: healthy, after: with(healthy, func(s *State) { s.Revision = 520 }), reached: 521, lost: 1},
		"one is down now":  {before: healthy, after: with(healthy, func(s *State) { s.Problems = []Problem{down} }), problems: []Problem{down}},
		"one was down and is": {
			before: with(healthy, func(s *State) { s.Problems = []Problem{{Down, "m3", "m3 does not answer: timeout"}} }),
			after:  with(healthy, func(s *State) { s.Problems = []Problem{down} }), remaining: []Problem{down},
		},
		"wiped, and one is down as before": {
			before: with(healthy, func(s *State) { s.Problems = []Problem{down} }), lost: 2,
			after: with(healthy, func(s *State) { s.Revision, s.RaftIndex, s.Problems = 1, 8, []Problem{down} }), remaining: []Problem{down},
		},
		"no quorum, so no revision": {
			before: healthy, after: with(healthy, func(s *State) {
				s.Quorum, s.Revision, s.Problems = false, 0, []Problem{{NoQuorum, "", "the cluster has no quorum"}}
			}),
			problems: []Problem{{NoQuorum, "", "the cluster has no quorum"}},
		},
		"one that starts knows less of the log": {
			before: healthy, after: with(healthy, func(s *State) { s.RaftIndex, s.Problems = 800, []Problem{down} }), problems: []Problem{down},
		},
		"nobody answers": {before: healthy, after: State{Problems: []Problem{{Down, "", "no etcd endpoint can be used"}}}, problems: []Problem{{Down, "", "no etcd endpoint can be used"}}},
		"a member replaced": {
			before: healthy, after: with(healthy, func(s *State) { s.Members[2].ID = 4 }),
			changes: []string{"m3 was removed and added again: its id was 3 and is 4"},
		},
		"a member less, a member more": {
			before: healthy, after: with(healthy, func(s *State) { s.Members[2] = Member{Name: "m4", ID: 4, Version: "3.6.16", Answered: true} }),
			changes: []string{"m3 is no longer a member", "m4 is a new member"},
		},
		"a learner that votes now": {
			before: with(healthy, func(s *State) { s.Members[1].Learner = true }), after: healthy,
			changes: []string{"m2 votes, and was a learner"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Compare(c.before, c.after, c.reached)
			if len(got.Lost) != c.lost || !slices.Equal(got.Problems, c.problems) || !slices.Equal(got.Remaining, c.remaining) || !slices.Equal(got.Changes, c.changes) {
				t.Errorf("got %+v", got)
			}
			if ok := c.lost+len(c.problems) == 0; got.OK() != ok || (got.Text() == "") != ok {
				t.Errorf("OK is %v with the text %q", got.OK(), got.Text())
			}
		})
	}
}

// TestSettleWaits plays states one after the other; the last one stays.
func TestSettleWaits(t *testing.T) {
	before, down := three("3.6.16"), Problem{Down, "m3", "m3 does not answer"}
	broken := with(before, func(s *State) { s.Problems = []Problem{down} })
	wiped := with(before, func(s *State) { s.Revision = 1 })
	for name, c := range map[string]struct {
		states []State
		limit  time.Duration
		looks  int // 0: as many as there is time for
		ok     bool
	}{
		"well twice":                        {[]State{before}, time.Hour, 2, true},
		"well, and only then the work":      {[]State{before, broken, broken, before}, time.Hour, 5, true},
		"never well":                        {[]State{broken}, 20 * time.Millisecond, 0, false},
		"lost, for which no waiting is":     {[]State{wiped}, time.Hour, 1, false},
		"lost, or just not all there":       {[]State{with(wiped, func(s *State) { s.Problems = []Problem{down} }), before}, time.Hour, 3, true},
		"no time, and well at the one look": {[]State{before}, 0, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			looks := 0
			_, got, err := Waiting{Limit: c.limit, Every: time.Millisecond, Look: func(context.Context) (State, error) {
				looks++
				return c.states[min(looks, len(c.states))-1], nil
			}}.Settle(t.Context(), before)
			if err != nil || got.OK() != c.ok || c.looks > 0 && looks != c.looks {
				t.Errorf("after %d looks: %+v, %v", looks, got, err)
			}
		})
	}
}

func TestSettleTakesEndpointsOfDifferentClustersForAState(t *testing.T) {
	looks := 0
	_, got, err := Waiting{Limit: time.Hour, Every: time.Millisecond, Look: func(context.Context) (State, error) {
		if looks++; looks == 1 {
			return State{}, snapshot.ErrConfig
		}
		return three("3.6.16"), nil
	}}.Settle(t.Context(), three("3.6.16"))
	if err != nil || !got.OK() || looks != 3 {
		t.Errorf("after %d looks: %+v, %v", looks, got, err)
	}
}

func TestSettleEndsWithItsContext(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	why, looks := errors.New("somebody stopped it"), 0
	last, got, err := Waiting{Limit: time.Hour, Every: time.Millisecond, Look: func(context.Context) (State, error) {
		if looks++; looks == 2 {
			stop(why)
			return State{}, why
		}
		return State{Problems: []Problem{{Down, "", "nobody answers"}}}, nil
	}}.Settle(ctx, three("3.6.16"))
	if !errors.Is(err, why) || got.OK() || len(last.Problems) != 1 {
		t.Errorf("what was seen last is %+v: %+v, %v", last, got, err)
	}
}
