package child_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

func TestMain(m *testing.M) {
	roles := map[string]child.Role{"echo": echo, "parent": parent, "idle": idle, "dies": dies}
	if code, ok := child.Dispatch(context.Background(), os.Args, roles); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// echo copies stdin and descriptor 3 to stdout, complains on stderr, and exits with the code it is given.
func echo(_ context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	_, _ = io.Copy(stdout, stdin)
	_, _ = io.Copy(stdout, os.NewFile(3, "extra"))
	fmt.Fprint(stderr, strings.Join(args[1:], ","))
	code, _ := strconv.Atoi(args[0])
	return code
}

// parent starts two children of its own, one by each way, tells their process ids, and waits to be killed.
func parent(ctx context.Context, _ []string, _ io.Reader, stdout, _ io.Writer) int {
	ours := child.Command(ctx, "idle")
	if err := ours.Start(); err != nil {
		return 1
	}
	foreign := exec.Command("sleep", "1000")
	if _, err := child.Start(foreign); err != nil {
		return 1
	}
	fmt.Fprintln(stdout, ours.Process.Pid, foreign.Process.Pid)
	return idle(ctx, nil, nil, nil, nil)
}

func idle(context.Context, []string, io.Reader, io.Writer, io.Writer) int {
	time.Sleep(1000 * time.Second)
	return 0
}

func TestOrdinaryProcessIsNotAChild(t *testing.T) {
	for _, argv := range [][]string{nil, {"lifeboat"}, {"lifeboat", "backup"}, {"lifeboat", "echo", "1"}} {
		if _, ok := child.Dispatch(t.Context(), argv, map[string]child.Role{"echo": echo}); ok {
			t.Errorf("%q was taken for a child", argv)
		}
	}
}

func TestUnknownRoleIsRefused(t *testing.T) {
	var exit *exec.ExitError
	out, err := child.Command(t.Context(), "nonsense").CombinedOutput()
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("got %v, want exit status 2", err)
	}
	if !strings.Contains(string(out), `"nonsense"`) {
		t.Errorf("the message does not name the role: %s", out)
	}
}

func TestChildGetsStreamsArgumentsAndDescriptors(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(w, "descriptor")
		_ = w.Close()
	}()
	var stderr strings.Builder
	cmd := child.Command(t.Context(), "echo", "7", "one two", "three")
	cmd.Stdin, cmd.Stderr, cmd.ExtraFiles = strings.NewReader("stdin and "), &stderr, []*os.File{r}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("got %v, want exit status 7", err)
	}
	if string(out) != "stdin and descriptor" || stderr.String() != "one two,three" {
		t.Errorf("got stdout %q, stderr %q", out, stderr.String())
	}
}

func TestCancelKillsTheChild(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := child.Command(ctx, "idle")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := cmd.Wait(); !errors.Is(err, context.Canceled) && !strings.Contains(fmt.Sprint(err), "killed") {
		t.Errorf("got %v, want a killed process", err)
	}
}

func TestChildrenDieWithAKilledParent(t *testing.T) {
	t.Parallel()
	cmd := child.Command(t.Context(), "parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var ours, foreign int
	if _, err := fmt.Sscan(line, &ours, &foreign); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, pid := range []int{ours, foreign} {
		deadline := time.Now().Add(10 * time.Second)
		for alive(pid) && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		if alive(pid) {
			t.Errorf("process %d outlives its parent", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// TestEndOfAThreadLeavesChildrenAlone has many goroutines end with their thread locked, which ends the thread, while a child
// started from an arbitrary one of them goes on: what Pdeathsig alone would get wrong.
func TestEndOfAThreadLeavesChildrenAlone(t *testing.T) {
	t.Parallel()
	commands := make(chan *exec.Cmd)
	for range 8 {
		go func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			ours := child.Command(t.Context(), "idle")
			if err := ours.Start(); err != nil {
				t.Error(err)
			}
			commands <- ours
			foreign := exec.CommandContext(t.Context(), "sleep", "1000")
			if _, err := child.Start(foreign); err != nil {
				t.Error(err)
			}
			commands <- foreign
		}()
	}
	var all []*exec.Cmd
	for range 16 {
		all = append(all, <-commands)
	}
	time.Sleep(500 * time.Millisecond)
	for _, cmd := range all {
		if !alive(cmd.Process.Pid) {
			t.Errorf("%s died with the thread of a goroutine", cmd)
		}
		_ = cmd.Process.Kill()
	}
}

// alive tells whether a process exists and is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}
