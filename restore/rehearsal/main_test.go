package rehearsal

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestMain(m *testing.M) {
	lab.Main(m, map[string]child.Role{
		snapshot.InspectRoleName: snapshot.InspectRole,
		restore.EditRole:         restore.EditMain,
	})
}

// A saved is a snapshot file and what the members it comes from said over RPC.
type saved struct {
	path   string
	rev    int64
	hashes map[string]lab.Hash
}

// save fills a cluster with objects of Kubernetes, takes a snapshot, and asks the members for their HashKV at its revision.
func save(t *testing.T, o lab.ClusterOptions, keys int) saved {
	t.Helper()
	c := lab.StartCluster(t, o)
	cli := c.Client(t)
	stats, err := kubedata.Fill(t.Context(), cli, kubedata.Options{Keys: keys, Leases: 5, Churn: keys / 4, Compact: true, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	s := saved{path: lab.SaveSnapshot(t, cli), rev: stats.Revision, hashes: c.HashKV(t, stats.Revision)}
	for i := range c.Members() {
		c.Kill(t, i) // two cores are few
	}
	return s
}

// options rehearse a file in a folder of its own, which has to be empty afterwards.
func options(t *testing.T, path string) Options {
	t.Helper()
	src, err := restore.FromFile(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Plan: restore.Plan{Source: src}, Dir: lab.Dir(t), Timeout: 90 * time.Second, Tool: "test"}
	t.Cleanup(func() {
		left, err := os.ReadDir(o.Dir)
		if err != nil {
			return // kept as evidence
		}
		for _, e := range left {
			t.Errorf("%s is left", e.Name())
		}
	})
	return o
}

// rehearse runs a rehearsal that has to come to a verdict, and shows it.
func rehearse(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), o, restore.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := r.Table(&text); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text.String())
	return r
}

// wantPassed fails the test unless everything that was asked went well.
func wantPassed(t *testing.T, r *Report) {
	t.Helper()
	if !r.Passed || r.Reason != "" {
		t.Errorf("passed is %t: %s", r.Passed, r.Reason)
	}
	for _, c := range r.Checks {
		if c.Result == Failed {
			t.Errorf("failed: %s", c)
		}
	}
}
