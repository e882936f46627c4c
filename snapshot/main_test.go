package snapshot_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestMain(m *testing.M) {
	lab.Main(m, map[string]child.Role{snapshot.InspectRoleName: snapshot.InspectRole, "inspect-file": inspectFile})
}

// single starts a cluster of one member, which need not wait long to find out that nobody else stands for election.
func single(t *testing.T, version string) *lab.Cluster {
	t.Helper()
	return lab.StartCluster(t, lab.ClusterOptions{
		Version: version, Members: 1, Args: []string{"--heartbeat-interval=10", "--election-timeout=100"},
	})
}

// config is the way into a lab cluster.
func config(t *testing.T, c *lab.Cluster) snapshot.Config {
	t.Helper()
	return snapshot.Config{Endpoints: c.Endpoints(), CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile}
}

func connect(t *testing.T, cfg snapshot.Config) *snapshot.Cluster {
	t.Helper()
	c, err := snapshot.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func survey(t *testing.T, c *snapshot.Cluster) *snapshot.Survey {
	t.Helper()
	s, err := c.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// save takes a snapshot of the best candidate into a spool.
func save(t *testing.T, c *snapshot.Cluster) (*snapshot.Spool, snapshot.Saved) {
	t.Helper()
	spool := newSpool(t)
	saved, err := c.Save(t.Context(), survey(t, c).Candidates[0], spool, snapshot.SaveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return spool, saved
}

func newSpool(t *testing.T) *snapshot.Spool {
	t.Helper()
	s, err := snapshot.NewSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func inspect(t *testing.T, f *os.File, o snapshot.InspectOptions) *snapshot.Info {
	t.Helper()
	info, err := snapshot.Inspect(t.Context(), f, o)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// view opens a sound snapshot in this process.
func view(t *testing.T, f *os.File, fn func(*bbolt.Tx)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, st.Size())
	if _, err := f.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o400, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(func(tx *bbolt.Tx) error { fn(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

// contents reads all of a file without moving its offset.
func contents(t *testing.T, f *os.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.NewSectionReader(f, 0, 1<<40)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// must fails the test for an error of a client's request.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func put(t *testing.T, c *clientv3.Client, key, value string, o ...clientv3.OpOption) int64 {
	t.Helper()
	return must[*clientv3.PutResponse](t)(c.Put(t.Context(), key, value, o...)).Header.Revision
}

func del(t *testing.T, c *clientv3.Client, key string, o ...clientv3.OpOption) int64 {
	t.Helper()
	return must[*clientv3.DeleteResponse](t)(c.Delete(t.Context(), key, o...)).Header.Revision
}

func compact(t *testing.T, c *clientv3.Client, rev int64) {
	t.Helper()
	must[*clientv3.CompactResponse](t)(c.Compact(t.Context(), rev, clientv3.WithCompactPhysical()))
}

// eventually waits for something that takes a moment.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}
