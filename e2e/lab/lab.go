// Package lab starts real servers for tests, on free loopback ports, with everything they write in the test's own temporary
// directory: etcd clusters of every supported version, MinIO, VersityGW, a GCS server, a kube-apiserver. A server that cannot be had fails the test; nothing here
// skips. What a failed test has written is kept, and the test says where.
package lab

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/member"
)

// Main is what a TestMain has to call when its tests start clusters of the built-in etcd or other child processes: it runs the role
// if this process was started for one, and the tests otherwise. The role of the built-in etcd is always there.
func Main(m *testing.M, roles map[string]child.Role) {
	all := map[string]child.Role{member.Role: member.Main}
	for name, role := range roles {
		all[name] = role
	}
	if code, ok := child.Dispatch(context.Background(), os.Args, all); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// Tool returns the path of a real program: one that e2e/tools/<module> has as a tool dependency (Tool(t, "etcd-3.7", "etcdutl"),
// Tool(t, "age", "age-keygen"), Tool(t, "minio", "minio")), or one of Debian (Tool(t, tools.Debian, "zstd")).
func Tool(t testing.TB, module, binary string) string {
	t.Helper()
	file, err := tools.Path(module, binary)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Dir makes a temporary directory which is kept if the test fails.
func Dir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	Evidence(t, dir)
	return dir
}

// Evidence keeps a directory of a test that failed, under the system's temporary directory, and says where. Call it before
// starting whatever writes there, so that it acts after that has stopped.
func Evidence(t testing.TB, dir string) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		kept, err := keep(t.Name(), dir)
		if err != nil {
			t.Errorf("evidence in %s is lost: %v", dir, err)
			return
		}
		t.Logf("evidence is kept in %s", kept)
	})
}

func keep(name, dir string) (string, error) {
	parent := filepath.Join(os.TempDir(), "lifeboat-evidence")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	kept, err := os.MkdirTemp(parent, strings.NewReplacer("/", "-", " ", "-").Replace(name)+"-")
	if err != nil {
		return "", err
	}
	kept = filepath.Join(kept, filepath.Base(dir))
	return kept, os.Rename(dir, kept)
}
