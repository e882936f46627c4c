//go:build node

package lab_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/klauspost/compress/zstd"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// TestNodeSnapshot34HoldsWhatALiveEtcd34Says writes the recorded snapshot's data into a live etcd 3.4 and compares all figures.
// With LIFEBOAT_UPDATE=1 it records both anew.
func TestNodeSnapshot34HoldsWhatALiveEtcd34Says(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.4"})
	live := write34(t, c)
	if os.Getenv("LIFEBOAT_UPDATE") == "1" {
		record34(t, c, live)
	}
	_, recorded := lab.Snapshot34(t)
	if !reflect.DeepEqual(live, recorded) {
		t.Errorf("live     %+v\nrecorded %+v", live, recorded)
	}
}

// write34 fills the cluster so that every rule of HashKV matters: many revisions, keys deleted before, at and after the
// compaction, keys deleted and made again, a lease that has ended. Run twice, it makes the same revisions.
func write34(t *testing.T, c *lab.Cluster) lab.Figures {
	t.Helper()
	cli, ctx := c.Client(t), t.Context()
	stats, err := kubedata.Fill(ctx, cli, kubedata.Options{Keys: 300, Seed: 34, Leases: 5, Churn: 120})
	if err != nil {
		t.Fatal(err)
	}
	h := history{t, cli}
	h.round(0)
	h.round(1)
	lease, err := cli.Grant(ctx, 3600)
	if err != nil {
		t.Fatal(err)
	}
	h.put("lease", "ends", clientv3.WithLease(lease.ID))
	if _, err := cli.Revoke(ctx, lease.ID); err != nil {
		t.Fatal(err)
	}
	h.put("last", "deleted by the very revision of the compaction")
	compact := h.delete("last")
	if _, err := cli.Compact(ctx, compact, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	h.round(2)
	h.put("last", "made again")
	_, err = cli.Txn(ctx).Then(
		clientv3.OpPut(h.key("05"), "of three changes in one revision"),
		clientv3.OpDelete(h.key("06")),
		clientv3.OpPut(h.key("07"), "of three changes in one revision"),
	).Commit()
	if err != nil {
		t.Fatal(err)
	}
	return figures34(t, c, compact, stats.Leases)
}

// history makes one revision at a time.
type history struct {
	t   *testing.T
	cli *clientv3.Client
}

func (h history) key(name string) string { return "/registry/configmaps/history/" + name }

func (h history) put(name, value string, opts ...clientv3.OpOption) {
	h.t.Helper()
	if _, err := h.cli.Put(h.t.Context(), h.key(name), value, opts...); err != nil {
		h.t.Fatal(err)
	}
}

func (h history) delete(name string) (revision int64) {
	h.t.Helper()
	r, err := h.cli.Delete(h.t.Context(), h.key(name))
	if err != nil || r.Deleted != 1 {
		h.t.Fatalf("delete %s: %+v, %v", name, r, err)
	}
	return r.Header.Revision
}

// round writes 30 keys and deletes other ones of them each time.
func (h history) round(n int) {
	h.t.Helper()
	for i := range 30 {
		h.put(fmt.Sprintf("%02d", i), fmt.Sprintf("round %d", n))
	}
	for i := n; i < 30; i += 4 {
		h.delete(fmt.Sprintf("%02d", i))
	}
}

func figures34(t *testing.T, c *lab.Cluster, compact int64, leases int) lab.Figures {
	t.Helper()
	all, err := c.Client(t).Get(t.Context(), "", clientv3.WithFromKey(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	f := lab.Figures{Revision: all.Header.Revision, CompactRevision: compact, Keys: all.Count, Leases: leases}
	for _, m := range c.Members() {
		f.Members = append(f.Members, m.Name)
	}
	at := func(rev int64) lab.HashAt {
		hashes := c.HashKV(t, rev)
		for name, hash := range hashes {
			if hash != hashes["m1"] {
				t.Errorf("revision %d: member %s has %+v, member m1 %+v", rev, name, hash, hashes["m1"])
			}
		}
		return lab.HashAt{Revision: rev, CompactRevision: hashes["m1"].CompactRevision, Hash: hashes["m1"].Hash}
	}
	f.HashKV = at(f.Revision).Hash
	for rev := compact + 1; rev < f.Revision; rev += (f.Revision - compact) / 5 { // 3.4 refuses the compaction's own
		f.Earlier = append(f.Earlier, at(rev))
	}
	return f
}

// record34 has etcdctl of the same version save the snapshot, and replaces what is checked in.
func record34(t *testing.T, c *lab.Cluster, f lab.Figures) {
	t.Helper()
	db := filepath.Join(t.TempDir(), "db")
	save := exec.Command(lab.Tool(t, tools.Debian, "etcdctl"), "--endpoints", c.Endpoints()[0], "snapshot", "save", db)
	save.Env = append(os.Environ(), "ETCDCTL_API=3")
	if out, err := save.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"etcd-3.4.db.zst": w.EncodeAll(data, nil), "etcd-3.4.json": append(text, '\n')} {
		if err := os.WriteFile(filepath.Join("testdata", name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("recorded a snapshot of %d bytes: %+v; run the test again", len(data), f)
}
