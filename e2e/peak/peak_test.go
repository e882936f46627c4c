package peak

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

func TestThePeakOfAChildIsSeenUnderItsName(t *testing.T) {
	// awk holds a string of 64 MiB while its shell waits
	u, err := Run(exec.Command("sh", "-c", `awk 'BEGIN { s = "x"; while (length(s) < 67108864) s = s s; system("sleep 0.2") }'; true`))
	if err != nil {
		t.Fatal(err)
	}
	kind, most := u.Most()
	if kind == "main" || most < 64<<20 || most > 1<<30 {
		t.Errorf("the peak is %d bytes in %q; all: %v", most, kind, u.Anon)
	}
	if u.Together < most || u.Together > most+64<<20 {
		t.Errorf("together they held %d bytes, the largest alone %d", u.Together, most)
	}
	if u.Wall <= 0 || u.CPU <= 0 {
		t.Errorf("took %v, %v of CPU", u.Wall, u.CPU)
	}
}

func TestAFailingCommandTellsWhatItSaid(t *testing.T) {
	_, err := Run(exec.Command("sh", "-c", "echo broken >&2; exit 3"))
	if err == nil || err.Error() != "sh -c echo broken >&2; exit 3: exit status 3: broken\n" {
		t.Error(err)
	}
}

func TestWhatATreeWritesIsCounted(t *testing.T) {
	// the pipe's 4 MiB are no bytes of a file, the removed file's 8 MiB are, and the shell's child writes the rest
	u, err := Run(exec.Command("sh", "-c", `cd "$1"; head -c 4194304 /dev/zero | cat >/dev/null
		head -c 8388608 /dev/zero >removed; rm removed; sh -c 'head -c 1048576 /dev/zero >kept'`, "sh", onDisk(t)))
	if err != nil {
		t.Fatal(err)
	}
	if u.Written < 9<<20 || u.Written > 10<<20 {
		t.Errorf("%d bytes were written, want 9 MiB", u.Written)
	}
}

// onDisk is a folder for which the kernel counts, as it does not where the temporary folder is in memory.
func onDisk(t *testing.T) string {
	t.Helper()
	root, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(root, ".cache")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(cache, "peak-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
