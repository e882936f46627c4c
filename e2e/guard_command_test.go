package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestGuardAndACommandThatEndsBadly: its status is told and never mixed up with one of Lifeboat's own; signals are its to act on; and it
// outlives a guard that is killed.
func TestGuardAndACommandThatEndsBadly(t *testing.T) {
	t.Parallel()
	g := newGuardRun(t, lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1, TLS: true}))

	t.Run("a status of its own", func(t *testing.T) {
		fails := g.script(t, "fails", "echo tried\nexit 9\n")
		r := lifeboat(t, g.args("-o", "json", "--identity", g.keys.identity, "--", fails, "--token", "secret")...).must(t, 1)
		var out guardResult
		decode(t, r.stdout, &out)
		if out.Outcome != "failed" || !out.Command.Ran || *out.Command.ExitCode != 9 || out.Backup.Verified != "deep" || !out.Backup.Held {
			t.Errorf("got %s", r.stdout)
		}
		mustSay(t, "guard", r.stderr, `(?m)^tried$`, `error: .*fails\.sh exited with status 9; the cluster is as well as before`)
		list := lifeboat(t, "list", "--sink", g.sink).must(t, 0).stdout
		mustSay(t, "list", list, `held: pre-upgrade: .*fails\.sh`)
		if strings.Contains(list, "secret") {
			t.Errorf("an argument of the command is in the bucket:\n%s", list)
		}
	})
	t.Run("signals", func(t *testing.T) {
		for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
			ready, cleaned := filepath.Join(g.dir, fmt.Sprint("ready-", code)), filepath.Join(g.dir, fmt.Sprint("cleaned-", code))
			cmd, stderr := g.start(t, nil, "--", g.counter(t), ready, cleaned)
			await(t, ready)
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != code {
				t.Errorf("%s: exit %d, want %d\n%s", sig, got, code, stderr)
			}
			mustSay(t, "guard", stderr.String(), `error: interrupted by .* while .* ran, which exited with status 7; the cluster is as well as before`, `lifeboat restore .*--runbook`)
			mustSay(t, "the command's own record", readFile(t, cleaned), "^"+sig.String()+"\n$")
		}
	})
	t.Run("a terminal's interrupt comes once", func(t *testing.T) { g.interruptFromATerminal(t) })
	t.Run("guard is killed", func(t *testing.T) {
		ready, goOn := filepath.Join(g.dir, "ready-kill"), filepath.Join(g.dir, "go-on")
		waits := g.script(t, "outlives", "touch '"+ready+"'\nwhile ! test -e '"+goOn+"'; do sleep 0.05; done\ntouch '"+g.marker+"'\n")
		cmd, _ := g.start(t, nil, "--", waits)
		await(t, ready)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = cmd.Process.Wait() // not cmd.Wait, which waits for whoever holds its stderr
		if err := os.WriteFile(goOn, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		await(t, g.marker)
		mustSay(t, "list", lifeboat(t, "list", "--sink", g.sink).must(t, 0).stdout, `held: pre-upgrade: .*outlives\.sh`)
	})
	t.Run("the cluster does not come back", func(t *testing.T) { g.stoppedAfter(t) })
}

// stoppedAfter has the command kill the only member, and interrupts the wait for it.
func (g *guardRun) stoppedAfter(t *testing.T) {
	kills := g.script(t, "kills", fmt.Sprintf("kill -9 %d\n", g.c.Process(0).Pid()))
	r := lifeboat(t, g.args("--settle-timeout", "0s", "--", kills)...).must(t, 4)
	mustSay(t, "guard", r.stderr, `error: .*kills\.sh exited with status 0, and the cluster is not as well as before, 0s later: no etcd endpoint can be used`, `lifeboat restore .*--runbook`)

	g.c.Start(t, 0)
	kills = g.script(t, "kills", fmt.Sprintf("kill -9 %d\n", g.c.Process(0).Pid()))
	cmd := exec.Command(filepath.Join(built, "lifeboat"), g.args("--", kills)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var text strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		fmt.Fprintln(&text, lines.Text())
		if strings.Contains(lines.Text(), "waiting up to 5m0s for the cluster") {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 143 {
		t.Errorf("exit %d, want 143", code)
	}
	mustSay(t, "guard", text.String(), `error: interrupted by SIGTERM while waiting for the cluster; .*kills\.sh exited with status 0`, `lifeboat restore .*--runbook`)
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
