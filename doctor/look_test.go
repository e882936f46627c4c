package doctor

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestMembersAreFoundFromOneEndpoint(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.7", TLS: true})
	c.Stop(t, 1)
	c.Await(t, 0, 2)
	f, err := Look(t.Context(), Places{Etcd: &snapshot.Config{Endpoints: c.Endpoints()[:1], CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var states []State
	for _, m := range f.Members {
		states = append(states, m.State)
	}
	if !slices.Equal(states, []State{Up, Down, Up}) || !f.Etcd.Quorum || len(f.Unseen) != 0 || len(f.Etcd.Clocks) != 2 || len(f.Etcd.Views) != 2 {
		t.Errorf("%v: %+v", states, f.Etcd)
	}
	for _, e := range f.Etcd.Answered {
		if e.Revision == 0 || e.Quota == 0 || f.Etcd.Revision < e.Revision {
			t.Errorf("%+v", e)
		}
	}
}

// TestSilenceIsNotWaitedForWithoutEnd: a host that accepts and says nothing, and sinks that cannot be read.
func TestSilenceIsNotWaitedForWithoutEnd(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	address := "http://" + silent.Addr().String()
	p := Places{
		Etcd: &snapshot.Config{Endpoints: []string{address}, DialTimeout: 300 * time.Millisecond},
		Backups: func(ctx context.Context) (*Backups, error) {
			if _, bound := ctx.Deadline(); !bound {
				t.Error("the sinks are read without a limit")
			}
			return nil, errors.New("no such bucket")
		},
	}
	p.Directories = func(ctx context.Context) ([]Directory, []Unseen) {
		if _, bound := ctx.Deadline(); !bound {
			t.Error("directories are read without a limit")
		}
		return []Directory{{Path: "/old/m1", ClusterID: clusterID, Revision: 990}}, nil
	}
	f, err := Look(t.Context(), p, midnight())
	if err != nil || len(f.Directories) != 1 || len(f.Unseen) != 2 || f.Unseen[0].Reason != "no such bucket" || f.Unseen[1].What != "endpoint "+address {
		t.Fatalf("%+v, %v", f, err)
	}
	if d := Decide(f, Tools{}); d.Verdict != AllDown || codes(d) != "start directory" {
		t.Errorf("%s %s", d.Verdict, codes(d))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := Look(ctx, p, midnight()); err == nil || err.Error() != "enough" {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := Look(t.Context(), Places{Etcd: &snapshot.Config{Endpoints: []string{"ftp://etcd"}}}, midnight()); !errors.Is(err, snapshot.ErrConfig) {
		t.Errorf("an address that cannot be one: %v", err)
	}
}

// TestOnlyMembersOfTheSameSchemeAreAsked: what opens the door of one is not shown in plain text to another.
func TestOnlyMembersOfTheSameSchemeAreAsked(t *testing.T) {
	t.Parallel()
	e := &Etcd{
		Answered: []snapshot.Endpoint{{URL: "https://vip:2379", MemberID: 1}},
		Failed:   []*snapshot.EndpointError{{Endpoint: "https://m4:2379"}},
		Known: []snapshot.Member{
			{ID: 1, ClientURLs: []string{"https://m1:2379"}},
			{ID: 2, ClientURLs: []string{"http://m2:2379", "https://m2:2379"}},
			{ID: 3, ClientURLs: []string{"https://m3:2379"}},
			{ID: 4, ClientURLs: []string{"https://m4:2379"}},
		},
	}
	if got := e.unasked([]string{"https://vip:2379", "https://m3:2379"}); !slices.Equal(got, []string{"https://m2:2379"}) {
		t.Errorf("asked more: %v", got)
	}
}
