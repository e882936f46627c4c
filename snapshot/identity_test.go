package snapshot_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/member"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestEndpointsOfDifferentClustersAreRefused(t *testing.T) {
	t.Parallel()
	one, two := single(t, "3.7"), single(t, "3.6")
	// One token and one name, but other peer addresses: another cluster.
	c := connect(t, snapshot.Config{Endpoints: append(one.Endpoints(), two.Endpoints()...)})
	_, err := c.Survey(t.Context())
	if !errors.Is(err, snapshot.ErrConfig) || !strings.Contains(err.Error(), "different clusters") {
		t.Errorf("got %v", err)
	}
}

// TestAMemberThatFoundedAClusterOfItsOwnIsLeftOut starts a member without its data, by flags that know of no other member. It writes more than the
// others, which is no reason to believe it.
func TestAMemberThatFoundedAClusterOfItsOwnIsLeftOut(t *testing.T) {
	t.Parallel()
	lc := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6"})
	rev := put(t, lc.Client(t), "key", "value")
	lc.Kill(t, 2)
	lost := lc.Members()[2]
	if err := os.RemoveAll(lost.DataDir); err != nil {
		t.Fatal(err)
	}
	lc.Change(2, func(s *member.Spec) { s.InitialCluster = map[string]string{lost.Name: lost.PeerURL} })
	lc.Start(t, 2)
	own := lc.Client(t)
	own.SetEndpoints(lost.ClientURL)
	for range 5 {
		put(t, own, "key", "of another world")
	}
	for _, first := range []int{0, 2} { // whoever is named first
		cfg := config(t, lc)
		cfg.Endpoints[0], cfg.Endpoints[first] = cfg.Endpoints[first], cfg.Endpoints[0]
		s := survey(t, connect(t, cfg))
		if len(s.Candidates) != 2 || !s.Quorum || s.R0 != rev || len(s.Members) != 3 || len(s.Unread) > 0 {
			t.Errorf("got %+v", s)
		}
		if why := reason(s, lost.ClientURL); !strings.Contains(why, "a cluster of its own") {
			t.Errorf("it is left out because: %q", why)
		}
	}
}
