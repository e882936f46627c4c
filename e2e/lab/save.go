package lab

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// SaveSnapshot takes a snapshot that holds all that was written through cli, as etcdctl does, of the first of its endpoints, which
// it stays with. The file goes with the test.
func SaveSnapshot(t testing.TB, cli *clientv3.Client) (path string) {
	t.Helper()
	cli.SetEndpoints(cli.Endpoints()[0])
	if _, err := cli.Get(t.Context(), "wait until this member has applied everything"); err != nil {
		t.Fatal(err)
	}
	r, err := cli.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path = filepath.Join(t.TempDir(), "source.db")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(f, r)
	if cerr := f.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	return path
}
