package lab

import (
	"os"
	"path/filepath"
	"testing"
)

func TestEvidenceIsMovedOutOfTheTestsDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := filepath.Join(t.TempDir(), "m1")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "log"), []byte("why"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second failure of the same test does not touch the first one's
		kept, err := keep("TestSome/sub test", dir)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(filepath.Join(kept, "log")); string(text) != "why" {
			t.Errorf("%s holds %q, %v", kept, text, err)
		}
		if err := os.CopyFS(dir, os.DirFS(kept)); err != nil {
			t.Fatal(err)
		}
	}
}
