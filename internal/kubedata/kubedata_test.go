package kubedata_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

func TestMain(m *testing.M) { lab.Main(m, nil) }

func fill(t *testing.T, o kubedata.Options) (*lab.Cluster, kubedata.Stats) {
	t.Helper()
	c := lab.StartCluster(t, lab.ClusterOptions{Members: 1})
	stats, err := kubedata.Fill(t.Context(), c.Client(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return c, stats
}

func TestSameOptionsWriteTheSameHistory(t *testing.T) {
	t.Parallel()
	o := kubedata.Options{Keys: 2000, Seed: 7, Leases: 20, Churn: 700, Compact: true}
	one, first := fill(t, o)
	two, second := fill(t, o)
	if first != second {
		t.Errorf("first %+v, then %+v", first, second)
	}
	if a, b := one.HashKV(t, first.Revision)["m1"], two.HashKV(t, first.Revision)["m1"]; a != b {
		t.Errorf("first %+v, then %+v", a, b)
	}
	o.Seed++
	other, _ := fill(t, o)
	if a, b := one.HashKV(t, 0)["m1"], other.HashKV(t, 0)["m1"]; a.Hash == b.Hash {
		t.Error("another seed writes the same")
	}
}

func TestStatsAreWhatEtcdHolds(t *testing.T) {
	t.Parallel()
	c, stats := fill(t, kubedata.Options{Keys: 3000, Seed: 1, Leases: 10, Churn: 1000, Compact: true})
	cli := c.Client(t)
	all, err := cli.Get(t.Context(), "/registry/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if int(all.Count) != stats.Keys || all.Header.Revision != stats.Revision {
		t.Errorf("etcd has %d keys at revision %d, stats say %+v", all.Count, all.Header.Revision, stats)
	}
	if stats.Deletes < 100 || stats.Puts+stats.Deletes != 4000 {
		t.Errorf("unlikely %+v", stats)
	}
	if _, err := cli.Get(t.Context(), "/registry/", clientv3.WithRev(stats.CompactRevision-1)); err == nil {
		t.Error("what came before the compaction can still be read")
	}
	leases, err := cli.Leases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	attached, kinds, encrypted := 0, map[string]int{}, 0
	for _, kv := range all.Kvs {
		kinds[strings.Split(string(kv.Key), "/")[2]]++
		if kv.Lease != 0 {
			attached++
		}
		if bytes.HasPrefix(kv.Value, []byte("k8s:enc:aescbc:v1:key1:")) {
			encrypted++
		}
	}
	if len(leases.Leases) != 10 || attached < 400 {
		t.Errorf("%d leases with %d keys", len(leases.Leases), attached)
	}
	if len(kinds) != 11 || encrypted < 100 {
		t.Errorf("kinds %v, encrypted %d", kinds, encrypted)
	}
}

func TestLargeDataHasTheSizeAskedForAndIsFast(t *testing.T) {
	const want = 64 << 20
	began := time.Now()
	c, stats := fill(t, kubedata.Options{Keys: 6000, Bytes: want})
	took := time.Since(began)
	t.Logf("%d bytes in %v, %.0f MB/s with the start of etcd", stats.Bytes, took, float64(stats.Bytes)/took.Seconds()/1e6)
	if ratio := float64(stats.Bytes) / want; ratio < 0.85 || ratio > 1.15 {
		t.Errorf("%d bytes of values, want about %d", stats.Bytes, want)
	}
	compresses(t, c)
}

func TestSmallDataCompressesLikeKubernetes(t *testing.T) {
	c, _ := fill(t, kubedata.Options{Keys: 20000})
	compresses(t, c)
}

// compresses checks the snapshot's size under zstd against that of real clusters, which is 6.9 times smaller.
func compresses(t *testing.T, c *lab.Cluster) {
	t.Helper()
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := c.Client(t).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	n, err := w.ReadFrom(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ratio := float64(n) / float64(packed.Len())
	t.Logf("the snapshot of %d bytes compresses %.1f times", n, ratio)
	if ratio < 5 || ratio > 9 {
		t.Errorf("the snapshot compresses %.1f times, want about 7", ratio)
	}
}
