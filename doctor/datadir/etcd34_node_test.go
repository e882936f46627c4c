//go:build node

package datadir

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

// TestNodeZombiesOfAnOldRestoreAreFoundUntilEtcdRemovesThem restores a snapshot of etcd 3.5 with etcdctl 3.4, which does not know that
// the members are in it, and then lets 3.5 serve it.
func TestNodeZombiesOfAnOldRestoreAreFoundUntilEtcdRemovesThem(t *testing.T) {
	t.Parallel()
	source := newHost(t)
	var file string
	source.must("3.5", nil, func(ctx context.Context, cli *clientv3.Client) {
		puts(t, 5)(ctx, cli)
		file = lab.SaveSnapshot(t, cli)
	})
	zombie := idText(inspected(t, source.dir).MemberID)
	h := newHost(t)
	h.spec.Token = "restored"
	run(t, "/usr/bin/env", "ETCDCTL_API=3", lab.Tool(t, tools.Debian, "etcdctl"), "snapshot", "restore", file, "--name=m1", "--data-dir="+h.dir,
		"--initial-cluster=m1="+h.spec.PeerURL, "--initial-advertise-peer-urls="+h.spec.PeerURL, "--initial-cluster-token="+h.spec.Token)
	d := inspected(t, h.dir)
	wants(t, "restored", d, ZombieMembers)
	if !strings.Contains(d.Findings[0].Detail, zombie+" (m1)") {
		t.Errorf("%v does not name %s", d.Findings, zombie)
	}
	h.must("3.5", nil, puts(t, 3))
	wants(t, "served by 3.5", inspected(t, h.dir), V2Leftovers)
}

// TestNodeDirectoryOfEtcd34IsRead reads what an etcd 3.4 writes, which has neither a term nor raft's list in its database, from its
// first entry and from a raft snapshot, and what 3.5 makes of it.
func TestNodeDirectoryOfEtcd34IsRead(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	var want Dir
	write := func(ctx context.Context, cli *clientv3.Client) {
		puts(t, 20)(ctx, cli)
		want = h.live(ctx, cli)
	}
	for _, args := range [][]string{nil, snapshotting()} {
		h.must("3.4", args, write)
		d := inspected(t, h.dir)
		for _, f := range d.Findings {
			if f.Code != V2Leftovers {
				t.Errorf("%v: found %+v", args, f)
			}
		}
		if d.Revision != want.Revision || d.Hash.Hash != want.Hash.Hash || d.MemberID != want.MemberID || d.StorageVersion != "" || len(d.Members) != 1 {
			t.Errorf("%v: %+v, want %+v", args, d, want)
		}
	}
	h.must("3.5", nil, write)
	wants(t, "served by 3.5", inspected(t, h.dir), V2Leftovers)
	if err := h.fork("by-3.7").run("3.7", nil, nil); err == nil {
		t.Errorf("etcd 3.7 starts on %s", filepath.Base(h.dir))
	}
}
