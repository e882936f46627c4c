package snapshot_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// file opens a file of a test.
func file(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestSnapshotOfEtcd34HoldsWhatItsClusterSaid(t *testing.T) {
	t.Parallel()
	path, want := lab.Snapshot34(t)
	f := file(t, path)
	info := inspect(t, f, snapshot.InspectOptions{Prefixes: true})
	hash := snapshot.Hash{Hash: want.HashKV, Revision: want.Revision, CompactRevision: want.CompactRevision}
	if info.Hash != hash || info.Revision != want.Revision || info.CompactRevision != want.CompactRevision {
		t.Errorf("got %+v at %d, compacted %d; want %+v", info.Hash, info.Revision, info.CompactRevision, hash)
	}
	if info.LiveKeys != want.Keys || info.Leases != int64(want.Leases) || !info.Kubernetes || info.StorageVersion != "" {
		t.Errorf("got %+v, want %+v", info, want)
	}
	var names []string
	for _, m := range info.Members {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, want.Members) {
		t.Errorf("members %v, want %v", names, want.Members)
	}
	if len(want.Earlier) == 0 {
		t.Error("the fixture has no earlier hashes")
	}
	view(t, f, func(tx *bbolt.Tx) {
		for _, e := range want.Earlier {
			if got, err := snapshot.HashKV(tx, e.Revision, e.CompactRevision); err != nil || got != e.Hash {
				t.Errorf("at %d: got %d (%v), want %d", e.Revision, got, err, e.Hash)
			}
		}
	})
}

// fill writes objects like those of Kubernetes, some of them encrypted in every way there is.
func fill(t *testing.T, client *clientv3.Client) {
	t.Helper()
	must[kubedata.Stats](t)(kubedata.Fill(t.Context(), client, kubedata.Options{Keys: 400, Churn: 200, Leases: 7, Seed: 5}))
	for key, value := range map[string]string{
		"/registry/secrets/a/1": "k8s:enc:secretbox:v1:nacl:\x01\x02", "/registry/secrets/a/2": "k8s:enc:kms:v2:vault:\x01",
		"/registry/secrets/a/3": "k8s:enc:kms:v1:vault:\x01", "/registry/secrets/a/4": "k8s:enc:aesgcm:v1:k:", "/registry/secrets/a/5": "k8s:enc:cut",
		"/registry/ranges/x": "k8s:encounter", "plain": "x",
	} {
		put(t, client, key, value)
	}
	put(t, client, "/registry/secrets/a/gone", "k8s:enc:aescbc:v1:lost:")
	del(t, client, "/registry/secrets/a/gone")
}

func TestInspectionTellsWhatTheClusterHolds(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.5", "3.6", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			lc := lab.StartCluster(t, lab.ClusterOptions{Version: version, Members: 1, Names: []string{"only one"}})
			client := lc.Client(t)
			fill(t, client)
			m := pb.NewMaintenanceClient(client.ActiveConnection())
			must[*pb.AlarmResponse](t)(m.Alarm(t.Context(), &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 0xabc, Alarm: pb.AlarmType_NOSPACE}))
			all := must[*clientv3.GetResponse](t)(client.Get(t.Context(), "", clientv3.WithPrefix(), clientv3.WithKeysOnly()))
			want := map[string]int64{}
			for _, kv := range all.Kvs {
				want[snapshot.Prefix(string(kv.Key))]++
			}
			c := connect(t, config(t, lc))
			eventually(t, "the member has settled its storage version", func() bool {
				return version == "3.5" || survey(t, c).Candidates[0].StorageVersion == version+".0"
			})
			spool, saved := save(t, c)
			info := inspect(t, spool.File(), snapshot.InspectOptions{Prefixes: true})

			if info.LiveKeys != all.Count || info.Revision != all.Header.Revision || info.Records < info.LiveKeys {
				t.Errorf("%d keys at %d in %d records, want %d at %d", info.LiveKeys, info.Revision, info.Records, all.Count, all.Header.Revision)
			}
			if len(want) < 5 || len(info.Prefixes) != len(want) {
				t.Errorf("prefixes %v, want %v", info.Prefixes, want)
			}
			for p, n := range want {
				if info.Prefixes[p] != n {
					t.Errorf("%d keys under %q, want %d", info.Prefixes[p], p, n)
				}
			}
			keys := map[string]int64{}
			for _, e := range info.EncryptionProviders {
				keys[e.Provider+" "+e.Version+" "+e.Key] = e.Values
			}
			if keys["secretbox v1 nacl"] != 1 || keys["kms v2 vault"] != 1 || keys["kms v1 vault"] != 1 || keys["aesgcm v1 k"] != 1 ||
				keys["unknown  "] != 1 || keys["aescbc v1 key1"] < 1 || keys["secretbox v1 key2"] < 1 || len(keys) != 7 {
				t.Errorf("encryption keys %v", keys)
			}
			wantStorage := version + ".0"
			if info.StorageVersion != wantStorage || info.ClusterVersion != wantStorage || info.Term == 0 || info.ConsistentIndex == 0 {
				t.Errorf("storage %s, cluster %s, term %d, index %d", info.StorageVersion, info.ClusterVersion, info.Term, info.ConsistentIndex)
			}
			if version != "3.5" && saved.Version != wantStorage {
				t.Errorf("the stream says storage version %q", saved.Version)
			}
			if !slices.Equal(info.Alarms, []string{"NOSPACE of member abc"}) || info.Leases != 7 || info.AuthEnabled || !info.Kubernetes {
				t.Errorf("alarms %q, %d leases, auth %v, kubernetes %v", info.Alarms, info.Leases, info.AuthEnabled, info.Kubernetes)
			}
			if len(info.Members) != 1 || info.Members[0].Name != "only one" || info.Members[0].PeerURLs[0] != lc.Members()[0].PeerURL {
				t.Errorf("members %+v", info.Members)
			}
			if info.PageSize != 4096 || info.Pages*4096+32 != info.Size || info.FreePages < 1 {
				t.Errorf("%d pages of %d, %d free, in %d bytes", info.Pages, info.PageSize, info.FreePages, info.Size)
			}
		})
	}
}

func TestInspectionOnlyReads(t *testing.T) {
	t.Parallel()
	path, _ := lab.Snapshot34(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info := inspect(t, f, snapshot.InspectOptions{})
	sum := sha256.Sum256(before)
	if after := contents(t, f); string(after) != string(before) || info.SHA256 != hex.EncodeToString(sum[:]) {
		t.Error("the file has changed, or its digest is wrong")
	}
	if off, err := f.Seek(0, 1); err != nil || off != 0 {
		t.Errorf("the offset moved to %d, %v", off, err)
	}
	skipped := inspect(t, f, snapshot.InspectOptions{SkipDigest: true})
	if skipped.SHA256 != "" || skipped.TrailerOK || skipped.Hash != info.Hash {
		t.Errorf("without the digest: %+v", skipped)
	}
}

func TestRawDatabaseNeedsToBeCalledOne(t *testing.T) {
	t.Parallel()
	path, want := lab.Snapshot34(t)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(raw, data[:len(data)-32], 0o600); err != nil {
		t.Fatal(err)
	}
	info := inspect(t, file(t, raw), snapshot.InspectOptions{Raw: true})
	if info.Hash.Hash != want.HashKV || info.TrailerOK {
		t.Errorf("got %+v", info)
	}
	if _, err := snapshot.Inspect(t.Context(), file(t, raw), snapshot.InspectOptions{}); !errors.Is(err, snapshot.ErrDamaged) || !strings.Contains(err.Error(), "raw database") {
		t.Errorf("raw, taken for a snapshot: %v", err)
	}
	if _, err := snapshot.Inspect(t.Context(), file(t, path), snapshot.InspectOptions{Raw: true}); !errors.Is(err, snapshot.ErrDamaged) || !strings.Contains(err.Error(), "size of a snapshot") {
		t.Errorf("a snapshot, taken for raw: %v", err)
	}
}

func TestHashIsRefusedWhereTheFileCannotGiveIt(t *testing.T) {
	t.Parallel()
	path, want := lab.Snapshot34(t)
	for _, at := range []snapshot.HashPoint{
		{Revision: want.Revision + 1, CompactRevision: want.CompactRevision},
		{Revision: want.Revision, CompactRevision: want.CompactRevision - 1},
		{Revision: want.CompactRevision - 1, CompactRevision: want.CompactRevision},
		{Revision: want.Revision, CompactRevision: want.Revision + 1},
	} {
		_, err := snapshot.Inspect(t.Context(), file(t, path), snapshot.InspectOptions{HashAt: &at})
		if err == nil || errors.Is(err, snapshot.ErrDamaged) || !errors.Is(err, snapshot.ErrRevision) {
			t.Errorf("%+v: %v", at, err)
		}
	}
}

func TestCancelledInspectionIsNoDamage(t *testing.T) {
	t.Parallel()
	path, _ := lab.Snapshot34(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := snapshot.Inspect(ctx, file(t, path), snapshot.InspectOptions{}); !errors.Is(err, context.Canceled) || errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("got %v", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer stop()
	if _, err := snapshot.Inspect(ctx, file(t, path), snapshot.InspectOptions{}); err != nil && (!errors.Is(err, context.DeadlineExceeded) || errors.Is(err, snapshot.ErrDamaged)) {
		t.Errorf("got %v", err)
	}
}

func TestKeysAreCountedUnderTheirFolders(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"/registry/pods/ns/name": "/registry/pods", "/registry/health": "/registry", "/registry": "", "plain": "", "": "", "/": "",
		"a/b/c": "a/b", "a/b": "a", "//x": "/", "/registry/apps.example.com/things/x": "/registry/apps.example.com",
	} {
		if got := snapshot.Prefix(key); got != want {
			t.Errorf("%q is counted under %q, want %q", key, got, want)
		}
	}
	if got := snapshot.Prefix(strings.Repeat("x", 1000) + "/y"); len(got) != 128 {
		t.Errorf("a prefix of %d bytes", len(got))
	}
}
