//go:build node

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNodeSystemdUnderstandsTheUnits has systemd read them, with the binary where this test built it.
func TestNodeSystemdUnderstandsTheUnits(t *testing.T) {
	from, to := filepath.Join(repository(t), "contrib", "systemd"), t.TempDir()
	units, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"verify", "--man=no"}
	for _, u := range units {
		text, err := os.ReadFile(filepath.Join(from, u.Name()))
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(to, u.Name())
		mended := strings.ReplaceAll(string(text), "/usr/local/bin/lifeboat", filepath.Join(built, "lifeboat"))
		if err := os.WriteFile(at, []byte(mended), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, at)
	}
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if err != nil || strings.Contains(line, to) { // of other units of this machine it may say what it likes
			t.Errorf("systemd-analyze: %v: %s", err, line)
		}
	}
}
