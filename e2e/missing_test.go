package e2e

import (
	"os"
	"path/filepath"
	"strings"
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
	opening := []string{"--sink", s.sink, "--identity", s.identity}
	planned := func(what string, more ...string) {
		t.Helper()
		r := lifeboat(t, append(append([]string{"restore", "latest", "--dry-run", "--out", filepath.Join(t.TempDir(), "new")}, opening...), more...)...).must(t, 0)
		mustSay(t, "restore", r.stdout, `(?m)^remarks +`+strings.SplitN(what, ".*", 2)[0])
		mustSay(t, "restore", r.stderr, `warning: \S+: `+what)
	}
	other := t.TempDir()
	lifeboat(t, "copy", "--all", "--to", "file://"+other, "--sink", s.sink).must(t, 0)
	if err := os.Truncate(found[0], 3000); err != nil {
		t.Fatal(err)
	}
	planned(`payload cut short or replaced: 3000 bytes .*another sink's copy is taken`, "--sink", "file://"+other)
	planned(`NO WHOLE COPY: payload cut short or replaced: 3000 bytes .*no other is proven`)
	mustSay(t, "rehearse", s.rehearse(t, 10, "--members", "1").stdout, `(?m)^opened with: unproven: it was not restored`)
	mustSay(t, "verify", lifeboat(t, "verify", "latest", "--sink", s.sink).must(t, 7).stderr, `hint: restore takes another sink's copy`)
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	planned(`NO WHOLE COPY: payload missing .*no other is proven`)
	r := lifeboat(t, append([]string{"restore", "latest", "--out", filepath.Join(t.TempDir(), "new")}, opening...)...).must(t, 7)
	mustSay(t, "restore", r.stderr, `(?s)warning: \S+: NO WHOLE COPY: .*error: `)
}
