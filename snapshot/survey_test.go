package snapshot_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// reason is why an endpoint was left out.
func reason(s *snapshot.Survey, endpoint string) string {
	for _, x := range s.Excluded {
		if x.Endpoint == endpoint {
			return x.Reason
		}
	}
	return ""
}

func TestSurveyPrefersFollowersAndKnowsTheCluster(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.5", "3.6", "3.7", "builtin"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			lc := lab.StartCluster(t, lab.ClusterOptions{Version: version, TLS: version == "builtin", QuotaBytes: 1 << 30})
			rev := put(t, lc.Client(t), "key", "value")
			cfg := config(t, lc)
			alias := strings.Replace(cfg.Endpoints[1], "127.0.0.1", "localhost", 1)
			cfg.Endpoints = append(cfg.Endpoints, alias)
			s := survey(t, connect(t, cfg))
			if len(s.Candidates) != 3 || !s.Quorum || s.R0 != rev || s.ClusterID == 0 || len(s.Alarms) != 0 {
				t.Fatalf("got %+v", s)
			}
			if s.Candidates[0].Leader || s.Candidates[1].Leader || !s.Candidates[2].Leader {
				t.Errorf("the leader does not come last: %+v", s.Candidates)
			}
			if got := reason(s, alias); got != "the same member as "+cfg.Endpoints[1] {
				t.Errorf("a second address of a member: %q", got)
			}
			var names []string
			for _, m := range s.Members {
				names = append(names, m.Name)
			}
			if slices.Sort(names); !slices.Equal(names, []string{"m1", "m2", "m3"}) {
				t.Errorf("members %v", names)
			}
			for _, ep := range s.Candidates {
				i := slices.IndexFunc(lc.Members(), func(m lab.Member) bool { return m.Name == ep.Name })
				if i < 0 || lc.Members()[i].ClientURL != ep.URL || ep.DBSize == 0 || ep.Version == "" || ep.Revision < rev || ep.Applied == 0 {
					t.Errorf("got %+v", ep)
				}
				if version > "3.5" && ep.Quota != 1<<30 {
					t.Errorf("quota %d", ep.Quota)
				}
			}
		})
	}
}

func TestOneMemberOfThreeDownIsNoFailure(t *testing.T) {
	t.Parallel()
	lc := lab.StartCluster(t, lab.ClusterOptions{Version: "3.7"})
	rev := put(t, lc.Client(t), "key", "value")
	before := connect(t, config(t, lc))
	lc.Stop(t, 1)
	lc.Await(t, 0, 2)
	for name, c := range map[string]*snapshot.Cluster{"connected before": before, "connected after": connect(t, config(t, lc))} {
		s := survey(t, c)
		if len(s.Candidates) != 2 || !s.Quorum || s.R0 < rev {
			t.Errorf("%s: %+v", name, s)
		}
		if got := reason(s, lc.Members()[1].ClientURL); !strings.Contains(got, "refused") {
			t.Errorf("%s: left out because %q", name, got)
		}
	}
}

func TestClusterWithoutQuorumCanStillBeSurveyedAndSaved(t *testing.T) {
	t.Parallel()
	lc := lab.StartCluster(t, lab.ClusterOptions{Version: "3.7"})
	rev := put(t, lc.Client(t), "key", "value")
	eventually(t, "all members have the key", func() bool {
		for _, ep := range survey(t, connect(t, config(t, lc))).Candidates {
			if ep.Revision < rev {
				return false
			}
		}
		return true
	})
	lc.Kill(t, 0)
	lc.Kill(t, 1)
	cfg := config(t, lc)
	cfg.RequestTimeout = 2 * time.Second
	c := connect(t, cfg)
	s := survey(t, c)
	if s.Quorum || s.R0 != 0 || len(s.Candidates) != 1 || len(s.Excluded) != 2 || len(s.Members) != 3 {
		t.Fatalf("got %+v", s)
	}
	spool, _ := save(t, c)
	if info := inspect(t, spool.File(), snapshot.InspectOptions{}); info.Revision != rev {
		t.Errorf("saved revision %d, want %d", info.Revision, rev)
	}
	lc.Kill(t, 2)
	s, err := c.Survey(t.Context())
	if !errors.Is(err, snapshot.ErrUnavailable) || s == nil || len(s.Excluded) != 3 {
		t.Errorf("with nobody left: %+v, %v", s, err)
	}
}

func TestCorruptMemberAndLearnerAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.5", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			lc := lab.StartCluster(t, lab.ClusterOptions{Version: version})
			client := lc.Client(t)
			put(t, client, "key", "value")
			eventually(t, "etcd takes a new member once all others have been connected for a while", func() bool {
				_, err := client.MemberAddAsLearner(t.Context(), []string{"http://127.0.0.1:1"})
				return err == nil
			})
			c := connect(t, config(t, lc))
			bad := survey(t, c).Candidates[0]
			m := pb.NewMaintenanceClient(client.ActiveConnection())
			must[*pb.AlarmResponse](t)(m.Alarm(t.Context(), &pb.AlarmRequest{
				Action: pb.AlarmRequest_ACTIVATE, MemberID: bad.MemberID, Alarm: pb.AlarmType_CORRUPT,
			}))
			s := survey(t, c)
			if len(s.Candidates) != 2 || !s.Quorum || len(s.Alarms) != 1 || s.Alarms[0] != (snapshot.Alarm{Kind: "CORRUPT", MemberID: bad.MemberID}) {
				t.Fatalf("got %+v", s)
			}
			if got := reason(s, bad.URL); got != "has raised the alarm CORRUPT" {
				t.Errorf("left out because %q", got)
			}
			if len(s.Members) != 4 || !slices.ContainsFunc(s.Members, func(m snapshot.Member) bool { return m.Learner }) {
				t.Errorf("members %+v", s.Members)
			}
		})
	}
}

func TestLaggingMembersGetAMomentAndAreThenLeftOut(t *testing.T) {
	t.Parallel()
	member := func(id uint64, rev int64, change func(*pb.StatusResponse)) string {
		l := &liar{r0: 100, status: pb.StatusResponse{
			Header: &pb.ResponseHeader{ClusterId: 7, MemberId: id, Revision: rev}, Leader: 1, RaftIndex: 50_000, RaftAppliedIndex: 50_000,
		}}
		change(&l.status)
		return l.serve(t)
	}
	same := func(*pb.StatusResponse) {}
	leader := member(1, 100, same)
	good := member(2, 100, func(s *pb.StatusResponse) { s.RaftAppliedIndex -= 10 })
	better := member(3, 100, same)
	behind := member(4, 99, same)
	unapplied := member(5, 100, func(s *pb.StatusResponse) { s.RaftAppliedIndex -= 6000 })
	learner := member(6, 100, func(s *pb.StatusResponse) { s.IsLearner = true })
	cut := member(7, 100, func(s *pb.StatusResponse) {
		s.Leader = 0
		s.Errors = []string{"etcdserver: no leader", "alarm:CORRUPT "}
	})
	all := []string{leader, behind, good, unapplied, learner, cut, better}
	s := survey(t, connect(t, snapshot.Config{Endpoints: all}))
	var order []string
	for _, ep := range s.Candidates {
		order = append(order, ep.URL)
	}
	if want := []string{better, good, leader, cut}; !slices.Equal(order, want) {
		t.Errorf("candidates %v, want %v", order, want)
	}
	for endpoint, want := range map[string]string{
		behind: "lags: at revision 99, the cluster is at 100", unapplied: "lags: has applied index 44000 of 50000", learner: "is a learner",
	} {
		if got := reason(s, endpoint); got != want {
			t.Errorf("left out because %q, want %q", got, want)
		}
	}
	if fmt.Sprint(s.Alarms) != "[CORRUPT]" {
		t.Errorf("alarms %v", s.Alarms)
	}
}

// TestAnElectionIsNoLossOfQuorum: it ends the reads that are under way, for a moment.
func TestAnElectionIsNoLossOfQuorum(t *testing.T) {
	t.Parallel()
	l := &liar{r0: 100}
	l.elections.Store(3)
	s := survey(t, connect(t, snapshot.Config{Endpoints: []string{l.serve(t)}}))
	if !s.Quorum || s.R0 != 100 || len(s.Unread) > 0 {
		t.Errorf("quorum %v, revision %d, %v", s.Quorum, s.R0, s.Unread)
	}
}
