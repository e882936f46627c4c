package snapshot_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// histories are ways in which a key space can come to be. They may follow one another, with all keys deleted between, but the
// first has to be the first. Each returns the revisions worth asking about, besides the head.
var histories = []struct {
	name string
	make func(*testing.T, *clientv3.Client) []int64
}{
	{"never compacted", func(t *testing.T, c *clientv3.Client) []int64 {
		a := put(t, c, "a", "1")
		put(t, c, "b", "1")
		b := del(t, c, "a")
		put(t, c, "a", "2")
		return []int64{a, b}
	}},
	{"compacted in the middle", func(t *testing.T, c *clientv3.Client) []int64 {
		for i := range 40 {
			put(t, c, fmt.Sprintf("key/%d", i%7), fmt.Sprint(i))
		}
		mid := del(t, c, "key/3")
		at := put(t, c, "key/4", "compact here")
		after := put(t, c, "key/3", "again")
		put(t, c, "key/9", "new")
		compact(t, c, at)
		return []int64{mid, at, after}
	}},
	{"compacted exactly at a tombstone", func(t *testing.T, c *clientv3.Client) []int64 {
		put(t, c, "stays", "1")
		put(t, c, "goes", "1")
		put(t, c, "goes", "2")
		at := del(t, c, "goes")
		after := put(t, c, "stays", "2")
		compact(t, c, at)
		return []int64{at, after}
	}},
	{"compacted at a tombstone of a key that comes back", func(t *testing.T, c *clientv3.Client) []int64 {
		put(t, c, "other", "1")
		put(t, c, "phoenix", "1")
		at := del(t, c, "phoenix")
		back := put(t, c, "phoenix", "2")
		again := del(t, c, "phoenix")
		last := put(t, c, "phoenix", "3")
		compact(t, c, at)
		return []int64{at, back, again, last}
	}},
	{"compacted at the head, which is a tombstone of many keys", func(t *testing.T, c *clientv3.Client) []int64 {
		for i := range 30 {
			put(t, c, fmt.Sprintf("range/%02d", i), "x")
		}
		put(t, c, "z", "x")
		at := del(t, c, "range/", clientv3.WithPrefix())
		compact(t, c, at)
		return []int64{at}
	}},
	{"everything deleted", func(t *testing.T, c *clientv3.Client) []int64 {
		put(t, c, "a", "1")
		put(t, c, "b", "1")
		a := del(t, c, "a")
		b := del(t, c, "b")
		return []int64{a, b}
	}},
	{"everything deleted and compacted before the last deletion", func(t *testing.T, c *clientv3.Client) []int64 {
		put(t, c, "a", "1")
		put(t, c, "b", "1")
		at := del(t, c, "a")
		last := del(t, c, "b")
		compact(t, c, at)
		return []int64{at, last}
	}},
	{"everything deleted and compacted at the last deletion", func(t *testing.T, c *clientv3.Client) []int64 {
		put(t, c, "a", "1")
		at := del(t, c, "", clientv3.WithPrefix())
		compact(t, c, at)
		return []int64{at}
	}},
	{"everything deleted and compacted, then begun again", func(t *testing.T, c *clientv3.Client) []int64 {
		put(t, c, "a", "1")
		at := del(t, c, "a")
		compact(t, c, at)
		b := put(t, c, "b", "1")
		return []int64{b, del(t, c, "b"), put(t, c, "a", "2")}
	}},
	{"transactions and leases", func(t *testing.T, c *clientv3.Client) []int64 {
		lease := must[*clientv3.LeaseGrantResponse](t)(c.Grant(t.Context(), 3600))
		gone := must[*clientv3.LeaseGrantResponse](t)(c.Grant(t.Context(), 3600))
		put(t, c, "leased/1", "x", clientv3.WithLease(lease.ID))
		put(t, c, "leased/2", "x", clientv3.WithLease(gone.ID))
		put(t, c, "leased/3", "x", clientv3.WithLease(gone.ID))
		txn := must[*clientv3.TxnResponse](t)(c.Txn(t.Context()).Then(
			clientv3.OpPut("t/1", "1"), clientv3.OpPut("t/2", "1"), clientv3.OpPut("t/3", "1"), clientv3.OpDelete("leased/1"),
		).Commit()).Header.Revision
		revoked := must[*clientv3.LeaseRevokeResponse](t)(c.Revoke(t.Context(), gone.ID)).Header.Revision
		mixed := must[*clientv3.TxnResponse](t)(c.Txn(t.Context()).Then(
			clientv3.OpDelete("t/2"), clientv3.OpPut("t/1", "2"), clientv3.OpDelete("t/3"),
		).Commit()).Header.Revision
		last := put(t, c, "t/2", "2")
		compact(t, c, mixed)
		return []int64{txn, revoked, mixed, last}
	}},
	{"compacted twice", func(t *testing.T, c *clientv3.Client) []int64 {
		var revs []int64
		for i := range 60 {
			revs = append(revs, put(t, c, fmt.Sprintf("k%d", i%5), "x"))
			if i%9 == 8 {
				revs = append(revs, del(t, c, fmt.Sprintf("k%d", i%4)))
			}
		}
		compact(t, c, revs[20])
		compact(t, c, revs[40])
		return revs[38:]
	}},
}

func TestHashComputedOfflineEqualsTheMembersOwn(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.5", "3.6", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			lc := single(t, version)
			client, cluster := lc.Client(t), connect(t, config(t, lc))
			compared := 0
			for _, h := range histories {
				del(t, client, "", clientv3.WithPrefix())
				compared += compareHashes(t, h.name, cluster, h.make(t, client))
			}
			t.Logf("%d hashes compared", compared)
		})
	}
}

// TestHashOfRandomHistoriesEqualsTheMembersOwn compares at every revision that is not compacted.
func TestHashOfRandomHistoriesEqualsTheMembersOwn(t *testing.T) {
	t.Parallel()
	rounds := 4
	if lab.Long() {
		rounds = 20
	}
	seed := rand.Uint64()
	for _, version := range []string{"3.5", "3.6", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			lc := single(t, version)
			client, cluster := lc.Client(t), connect(t, config(t, lc))
			r, compared, compacted := rand.New(rand.NewPCG(seed, 0)), 0, int64(0)
			for round := range rounds {
				var revs []int64
				for range 80 {
					key := fmt.Sprintf("key/%d", r.IntN(12))
					switch n := r.IntN(10); {
					case n < 6:
						revs = append(revs, put(t, client, key, fmt.Sprint(r.Uint32())))
					case n < 9:
						revs = append(revs, del(t, client, key))
					default:
						revs = append(revs, del(t, client, "key/1", clientv3.WithPrefix()))
					}
				}
				// A deletion of nothing has the revision before it, which is compacted already where it is the first of a round.
				revs = slices.DeleteFunc(revs, func(rev int64) bool { return rev <= compacted })
				compacted = revs[r.IntN(len(revs))]
				if round%2 == 1 {
					compacted = max(compacted, del(t, client, "key/", clientv3.WithPrefix()))
				}
				compact(t, client, compacted)
				compared += compareHashes(t, fmt.Sprintf("seed %d round %d", seed, round), cluster, revs)
			}
			t.Logf("%d hashes compared, seed %d", compared, seed)
		})
	}
}

// compareHashes takes a snapshot and compares, at each of the revisions and at the head, what the member says with
// what the file gives. The hash at the compaction itself is an older one from memory that no later file can give.
func compareHashes(t *testing.T, name string, c *snapshot.Cluster, revs []int64) int {
	t.Helper()
	spool, _ := save(t, c)
	info := inspect(t, spool.File(), snapshot.InspectOptions{})
	ep := survey(t, c).Candidates[0]
	if info.Revision != ep.Revision {
		t.Errorf("%s: the file's revision is %d, the member's %d", name, info.Revision, ep.Revision)
	}
	if live := must[snapshot.Hash](t)(c.HashKV(t.Context(), ep, info.Revision)); live != info.Hash && info.Revision != info.CompactRevision {
		t.Errorf("%s: at the head the file gives %+v, the member %+v", name, info.Hash, live)
	}
	compared := 1
	view(t, spool.File(), func(tx *bbolt.Tx) {
		for _, rev := range append(revs, info.Revision) {
			if rev < info.CompactRevision {
				continue
			}
			live := must[snapshot.Hash](t)(c.HashKV(t.Context(), ep, rev))
			got, err := snapshot.HashKV(tx, rev, live.CompactRevision)
			if live.CompactRevision < info.CompactRevision {
				if !errors.Is(err, snapshot.ErrRevision) {
					t.Errorf("%s: at %d the file, compacted at %d, gives %d for compact revision %d", name, rev, info.CompactRevision, got, live.CompactRevision)
				}
				continue
			}
			compared++
			if err != nil || got != live.Hash {
				t.Errorf("%s: at %d the file gives %d (%v), the member %+v", name, rev, got, err, live)
			}
		}
	})
	return compared
}

// TestHashAtTheCompactRevisionEqualsThatOfARestartedMember covers a hash that a member scans for only after a restart: before, it
// answers with what it remembers of the compaction.
func TestHashAtTheCompactRevisionEqualsThatOfARestartedMember(t *testing.T) {
	t.Parallel()
	lc := single(t, "3.7")
	for _, h := range histories {
		del(t, lc.Client(t), "", clientv3.WithPrefix())
		h.make(t, lc.Client(t))
		lc.Kill(t, 0)
		lc.Start(t, 0)
		c := connect(t, config(t, lc))
		spool, _ := save(t, c)
		info := inspect(t, spool.File(), snapshot.InspectOptions{})
		for _, rev := range []int64{info.CompactRevision, info.Revision} {
			if rev < 0 {
				continue
			}
			at := inspect(t, spool.File(), snapshot.InspectOptions{HashAt: &snapshot.HashPoint{Revision: rev, CompactRevision: info.CompactRevision}})
			if live := must[snapshot.Hash](t)(c.HashKV(t.Context(), survey(t, c).Candidates[0], rev)); live != at.Hash {
				t.Errorf("%s: at %d the file gives %+v, the member %+v", h.name, rev, at.Hash, live)
			}
			if at.LiveKeys != info.LiveKeys {
				t.Errorf("%s: %d live keys when hashed at %d, %d at the head", h.name, at.LiveKeys, rev, info.LiveKeys)
			}
		}
	}
}

// TestHashOfABumpedFileEqualsThatOfTheMemberOnIt has etcdutl bump the revision, which leaves an empty record, and compares both
// the directory before a member ever ran on it and a snapshot of that member.
func TestHashOfABumpedFileEqualsThatOfTheMemberOnIt(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.6", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			src := single(t, version)
			for _, h := range histories {
				h.make(t, src.Client(t))
			}
			put(t, src.Client(t), "last", "x")
			spool, _ := save(t, connect(t, config(t, src)))
			dst := single(t, version)
			dst.Stop(t, 0)
			m := dst.Members()[0]
			if err := os.RemoveAll(m.DataDir); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "snapshot.db")
			if err := os.WriteFile(file, contents(t, spool.File()), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(lab.Tool(t, "etcd-"+version, "etcdutl"), "snapshot", "restore", file, "--data-dir", m.DataDir,
				"--name", m.Name, "--initial-cluster", m.Name+"="+m.PeerURL, "--initial-advertise-peer-urls", m.PeerURL,
				"--initial-cluster-token", "lab", "--bump-revision", "1000000", "--mark-compacted").CombinedOutput()
			if err != nil {
				t.Fatalf("etcdutl: %v\n%s", err, out)
			}
			raw, err := os.Open(filepath.Join(m.DataDir, "member", "snap", "db"))
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			before := inspect(t, raw, snapshot.InspectOptions{Raw: true})
			dst.Start(t, 0) // compacts,
			dst.Stop(t, 0)
			dst.Start(t, 0) // and has forgotten the hash of that compaction
			c := connect(t, config(t, dst))
			ep := survey(t, c).Candidates[0]
			if live := must[snapshot.Hash](t)(c.HashKV(t.Context(), ep, before.Revision)); live != before.Hash {
				t.Errorf("the file gives %+v, the member on it %+v", before.Hash, live)
			}
			put(t, dst.Client(t), "after", "x")
			compareHashes(t, "bumped", c, nil)

			source := inspect(t, spool.File(), snapshot.InspectOptions{})
			if want := source.Revision + 1000000; before.Revision != want || before.CompactRevision != want || ep.Revision != want {
				t.Errorf("revision %d, compacted %d in the file, %d of the member, want %d", before.Revision, before.CompactRevision, ep.Revision, want)
			}
			if before.LiveKeys != source.LiveKeys {
				t.Errorf("%d live keys before the bump, %d after", source.LiveKeys, before.LiveKeys)
			}
		})
	}
}
