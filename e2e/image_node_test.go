//go:build node

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

// TestNodeTheImageOfBothArchitecturesIsTheSameWhereverItIsBuilt builds it here, and once more from a copy of the source in another folder, for another
// user's home and without git.
func TestNodeTheImageOfBothArchitecturesIsTheSameWhereverItIsBuilt(t *testing.T) {
	root, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	const both = "linux/amd64,linux/arm64"
	here := makeImage(t, root, both)
	checkImage(t, here, []string{"amd64", "arm64"})

	elsewhere := filepath.Join(t.TempDir(), "another", "place")
	copyTree(t, root, elsewhere)
	for _, variable := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} { // which would follow HOME otherwise, and cost minutes
		out, err := exec.Command("go", "env", variable).Output()
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(variable, strings.TrimSpace(string(out)))
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("TZ", "Asia/Kathmandu")
	there := makeImage(t, elsewhere, both)
	for _, name := range []string{"lifeboat-image.tar", "lifeboat-image.linux-amd64.cdx.json", "lifeboat-image.linux-arm64.cdx.json"} {
		if a, b := readFile(t, filepath.Join(here, name)), readFile(t, filepath.Join(there, name)); a != b {
			same := 0
			for same < min(len(a), len(b)) && a[same] == b[same] {
				same++
			}
			t.Errorf("%s has %d bytes here and %d elsewhere, and the first %d are the same", name, len(a), len(b), same)
		}
	}
}

// copyTree copies the source, which is what git knows or would add, and not git's own folder.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	out, err := exec.Command("git", "-C", from, "ls-files", "-co", "--exclude-standard", "-z").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range bytes.SplitSeq(bytes.Trim(out, "\x00"), []byte{0}) {
		text, err := os.ReadFile(filepath.Join(from, string(name)))
		if os.IsNotExist(err) {
			continue // removed, and not yet from git
		}
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(to, string(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
