package datadir

import (
	"context"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// TestDirectoriesOfLiveMembersSayWhatTheMembersSay compares a directory with what its member answered over RPC before it was stopped,
// of every version, with and without a raft snapshot; and looks into it while the member is at work.
func TestDirectoriesOfLiveMembersSayWhatTheMembersSay(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.5", "3.6", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			saysTheSame(t, version)
		})
	}
}

func saysTheSame(t *testing.T, version string) {
	t.Helper()
	h := newHost(t)
	var want Dir
	h.must(version, snapshotting(), func(ctx context.Context, cli *clientv3.Client) {
		puts(t, 12)(ctx, cli)
		if _, err := cli.Compact(ctx, 5, clientv3.WithCompactPhysical()); err != nil {
			t.Fatal(err)
		}
		want = h.live(ctx, cli)
		used, err := Inspect(ctx, h.dir)
		if err != nil {
			t.Fatal(err)
		}
		if !used.InUse || !strings.Contains(used.Holder, "etcd") || codes(used)[0] != InUse || used.Severe() {
			t.Errorf("while it runs: in use by %q, %v", used.Holder, used.Findings)
		}
		if used.MemberID != want.MemberID || used.WALIndex < want.ConsistentIndex || used.Revision != 0 {
			t.Errorf("while it runs: %+v", used)
		}
	})
	d := inspected(t, h.dir)
	if version != "3.5" {
		wants(t, "stopped", d)
	}
	if d.InUse || d.MemberID != want.MemberID || d.ClusterID != want.ClusterID || d.Revision != want.Revision || d.LiveKeys != want.LiveKeys {
		t.Errorf("directory %+v\nmember %+v", d, want)
	}
	if d.Hash == nil || d.Hash.Hash != want.Hash.Hash || d.CompactRevision != 5 || !strings.HasPrefix(d.StorageVersion, version) {
		t.Errorf("hash %v, compacted at %d, storage %s; the member has %v", d.Hash, d.CompactRevision, d.StorageVersion, want.Hash)
	}
	if d.Term != want.Term || d.ConsistentIndex < want.ConsistentIndex || d.WALIndex < d.ConsistentIndex || d.SnapshotIndex == 0 || d.WALTerm != d.Term {
		t.Errorf("in raft: directory %+v\nmember %+v", d, want)
	}
	m := Member{ID: want.MemberID, Name: "m1", PeerURLs: []string{h.spec.PeerURL}, ClientURLs: []string{h.spec.ClientURL}}
	if len(d.Members) != 1 || d.Members[0].text() != m.text() || !slices.Equal(d.Members[0].PeerURLs, m.PeerURLs) || !slices.Equal(d.Members[0].ClientURLs, m.ClientURLs) {
		t.Errorf("members %+v, want %+v", d.Members, m)
	}
	if d.DBSize == 0 || d.Size <= d.DBSize || time.Since(d.Modified) > time.Hour {
		t.Errorf("sizes %d and %d, modified %v", d.DBSize, d.Size, d.Modified)
	}
}

// live asks a member over RPC.
func (h *host) live(ctx context.Context, cli *clientv3.Client) (d Dir) {
	h.t.Helper()
	s, err := cli.Status(ctx, h.spec.ClientURL)
	for err == nil && strings.Compare(s.Version, "3.6") > 0 && !strings.HasPrefix(s.StorageVersion, s.Version[:3]) { // it is written some seconds after the start
		time.Sleep(50 * time.Millisecond)
		s, err = cli.Status(ctx, h.spec.ClientURL)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	all, err := cli.Get(ctx, "", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		h.t.Fatal(err)
	}
	hash, err := cli.HashKV(ctx, h.spec.ClientURL, s.Header.Revision)
	if err != nil {
		h.t.Fatal(err)
	}
	d.MemberID, d.ClusterID, d.Revision, d.LiveKeys = s.Header.MemberId, s.Header.ClusterId, s.Header.Revision, all.Count
	d.Term, d.ConsistentIndex = s.RaftTerm, s.RaftAppliedIndex
	d.Hash = hashOf(hash)
	return d
}

// TestThreeMembersKnowTheSameUntilOneIsLeftBehind kills one of three, writes on, and orders the three directories.
func TestThreeMembersKnowTheSameUntilOneIsLeftBehind(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6"})
	cli := c.Client(t)
	puts(t, 5)(t.Context(), cli)
	c.Kill(t, 0)
	c.Await(t, 1, 2)
	puts(t, 5)(t.Context(), cli)
	c.Kill(t, 1)
	c.Kill(t, 2)
	var dirs []*Dir
	for _, m := range c.Members() {
		d := inspected(t, m.DataDir)
		wants(t, m.Name, d)
		dirs = append(dirs, d)
	}
	if Compare(dirs[0], dirs[1]) >= 0 || Compare(dirs[0], dirs[2]) >= 0 {
		t.Errorf("the one that was left behind is not the last: %+v", dirs)
	}
	if found := Together(dirs...); len(found) > 0 {
		t.Errorf("of one cluster: %v", found)
	}
	other := newHost(t)
	other.must("3.6", nil, nil)
	copied := *dirs[1]
	copied.Path += "-copy"
	found := Together(dirs[0], dirs[1], &copied, inspected(t, other.dir))
	if len(found) != 2 || found[0].Code != TwoClusters || found[1].Code != SameMember || !strings.Contains(found[1].Detail, copied.Path) {
		t.Errorf("of two clusters, and one twice: %v", found)
	}
}

func hashOf(r *clientv3.HashKVResponse) *snapshot.Hash {
	return &snapshot.Hash{Hash: r.Hash, Revision: r.Header.Revision, CompactRevision: r.CompactRevision}
}

// TestADatabaseThatIsLockedIsNotWaitedFor holds the lock as an etcd does that cannot be seen, in another container.
func TestADatabaseThatIsLockedIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.must("3.6", nil, puts(t, 3))
	f, err := os.OpenFile(h.member("snap/db"), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	must(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	d := inspected(t, h.dir)
	wants(t, "locked", d, InUse)
	if !d.InUse || d.Holder == "" || d.Revision != 0 || d.WALIndex == 0 {
		t.Errorf("%+v", d)
	}
	must(t, f.Close())
	if d := inspected(t, h.dir); d.InUse || d.Revision != 4 || len(d.Findings) > 0 {
		t.Errorf("no longer locked: %+v", d)
	}
}
