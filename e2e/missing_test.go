package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// TestAPayloadThatIsNotWholeIsToldBeforeAnythingIsFetched: by then etcd may be stopped.
func TestAPayloadThatIsNotWholeIsToldBeforeAnythingIsFetched(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.6", Members: 1}, kubedata.Options{Keys: 50, Seed: 11})
	s.backup(t)
	found, err := filepath.Glob(filepath.Join(s.bucket, "v1/*/snapshots/*.age"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	planned := func(what string) {
		t.Helper()
		r := lifeboat(t, "restore", "latest", "--dry-run", "--sink", s.sink, "--identity", s.identity, "--out", filepath.Join(t.TempDir(), "new")).must(t, 0)
		mustSay(t, "restore", r.stdout, `(?m)^remarks +NO WHOLE COPY: `+what)
		mustSay(t, "restore", r.stderr, `warning: \S+: NO WHOLE COPY: `+what+`.* no other is proven: try an older one`)
	}
	if err := os.Truncate(found[0], 3000); err != nil {
		t.Fatal(err)
	}
	planned("payload cut short or replaced: 3000 bytes")
	mustSay(t, "rehearse", s.rehearse(t, 10, "--members", "1").stdout, `(?m)^opened with: unproven: it was not restored`)
	mustSay(t, "verify", lifeboat(t, "verify", "latest", "--sink", s.sink).must(t, 7).stderr, `hint: restore takes another sink's copy`)
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	planned("payload missing")
}
