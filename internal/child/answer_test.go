package child_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

// dies answers, or dies in the way it is told.
func dies(_ context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	switch args[0] {
	case "panic":
		panic("of what it read")
	case "killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "memory":
		_, _ = io.WriteString(stderr, "fatal error: runtime: out of memory\n")
		return 2
	case "threads":
		_, _ = io.WriteString(stderr, "runtime: failed to create new OS thread (have 5 already; errno=11)\nfatal error: newosproc\n")
		return 2
	case "fault": // with GOTRACEBACK=crash, which has every thread print its own
		_, _ = io.WriteString(stderr, "SIGSEGV: segmentation violation\nPC=0x1\nSIGQUIT: quit\n")
		return 2
	case "stacks":
		die(syscall.SIGQUIT)
	case "sandbox":
		die(syscall.SIGSYS)
	case "exit":
		return 3
	}
	_, _ = io.WriteString(stdout, "the answer")
	return 0
}

// TestADeathIsBlamedOnWhatWasReadUnlessTheMachineDidIt: what is taken for damage must not be a lack of memory.
func TestADeathIsBlamedOnWhatWasReadUnlessTheMachineDidIt(t *testing.T) {
	for how, c := range map[string]struct {
		crash bool
		says  string
	}{
		"panic":   {true, "panic: of what it read"},
		"exit":    {true, "exit status 3"},
		"killed":  {false, "is there enough memory?"},
		"memory":  {false, "out of memory"},
		"fault":   {true, "SIGSEGV: segmentation violation"},
		"threads": {false, "failed to create new OS thread"},
		"stacks":  {false, "from outside (SIGQUIT"},
		"sandbox": {false, "from outside (SIGSYS"},
	} {
		_, err := child.Answer(t.Context(), child.Command(t.Context(), "dies", how))
		var crash *child.Crash
		if err == nil || errors.As(err, &crash) != c.crash || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", how, err)
		}
	}
	if out, err := child.Answer(t.Context(), child.Command(t.Context(), "dies", "not")); err != nil || string(out) != "the answer" {
		t.Errorf("%q, %v", out, err)
	}
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(why)
	if _, err := child.Answer(ctx, child.Command(ctx, "idle")); !errors.Is(err, why) {
		t.Errorf("interrupted: %v", err)
	}
}

// die sends a signal to this process, which takes its time.
func die(by syscall.Signal) {
	_ = syscall.Kill(os.Getpid(), by)
	time.Sleep(time.Minute)
}

// TestASignalFromOutsideSaysNothingOfWhatWasRead: also if the child was about to say something. A shell is ended as Go is by signals that Go does not print.
func TestASignalFromOutsideSaysNothingOfWhatWasRead(t *testing.T) {
	for name, fault := range map[string]bool{"HUP": false, "INT": false, "SYS": false, "SEGV": true, "BUS": true} {
		said := &strings.Builder{}
		cmd := exec.Command("env", "--default-signal", "sh", "-c", "ulimit -c 0; echo HashKV differs >&2; kill -"+name+" $$") // also where nohup has it ignored
		cmd.Stderr = said
		err := child.Died(cmd.Run(), said.String())
		var crash *child.Crash
		if errors.As(err, &crash) != fault || said.Len() == 0 {
			t.Errorf("%s: %v, said %q", name, err, said)
		}
	}
}
