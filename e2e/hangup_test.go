package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestARehearsalThatIsHungUpOnLeavesNothing: its directory holds the database in plain. Under nohup it goes on.
func TestARehearsalThatIsHungUpOnLeavesNothing(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	if _, err := c.Client(t).Put(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	k, sink := newKeys(t), "file://"+t.TempDir()
	lifeboat(t, append([]string{"backup", "--recipients-file", k.recipients, "--sink", sink}, etcdFlags(c)...)...).must(t, 0)
	for shell, code := range map[string]int{`exec "$@"`: 129, `trap "" HUP; exec "$@"`: 0} {
		work := t.TempDir()
		var stderr bytes.Buffer
		cmd := exec.Command("sh", "-c", shell, "sh", filepath.Join(built, "lifeboat"), "rehearse", "latest", "--sink", sink, "--identity", k.identity)
		cmd.Env, cmd.Stderr = append(os.Environ(), "TMPDIR="+work), &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			if all, _ := filepath.Glob(filepath.Join(work, "lifeboat-rehearsal-*")); len(all) == 1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("no rehearsal has begun\n%s", &stderr)
			}
		}
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%s: exit %d, want %d\n%s", shell, got, code, &stderr)
		}
		if left, err := os.ReadDir(work); err != nil || len(left) != 0 {
			t.Errorf("%s: it left %v, %v", shell, left, err)
		}
	}
}
