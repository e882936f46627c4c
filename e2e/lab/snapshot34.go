package lab

import (
	_ "embed"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// What etcdctl of etcd 3.4.23 saved of a cluster, and what that cluster said of itself just before. TestNodeSnapshot34… makes
// both (build tag node).
var (
	//go:embed testdata/etcd-3.4.db.zst
	snapshot34 []byte
	//go:embed testdata/etcd-3.4.json
	figures34 []byte
)

// Figures are what a cluster answered over RPC about the data in a snapshot.
type Figures struct {
	Revision        int64    `json:"revision"`
	CompactRevision int64    `json:"compact_revision"`
	HashKV          uint32   `json:"hash_kv"` // at Revision
	Keys            int64    `json:"keys"`    // live
	Leases          int      `json:"leases"`
	Members         []string `json:"members"`
	Earlier         []HashAt `json:"earlier"` // hashes at revisions after the compaction
}

// HashAt is an answer to HashKV at one revision.
type HashAt struct {
	Revision        int64  `json:"revision"`
	CompactRevision int64  `json:"compact_revision"`
	Hash            uint32 `json:"hash"`
}

// Snapshot34 writes the recorded snapshot of an etcd 3.4 into a temporary directory and tells what to find in it. It holds
// Kubernetes-shaped objects with deletions, a compaction, later updates, and leases.
func Snapshot34(t testing.TB) (path string, want Figures) {
	t.Helper()
	if err := json.Unmarshal(figures34, &want); err != nil {
		t.Fatal(err)
	}
	r, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := r.DecodeAll(snapshot34, nil)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "etcd-3.4.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, want
}
