// Package child runs parts of Lifeboat in processes of their own, by executing this same binary again.
//
// A damaged bbolt file or etcd data directory can kill the process that opens it, and nothing in Go recovers from that. What
// opens untrusted files is therefore a Role: it gets descriptors and arguments, answers on stdout, and may die. The package
// knows nothing about what the roles do, it never goes through a shell, and it leaves no orphans: a child does not outlive
// its parent, not even one that was killed with SIGKILL.
package child

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A Role is a part of Lifeboat that runs in a process of its own because untrusted input may kill it. It returns the exit
// code of that process.
type Role func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int

const (
	prefix = "lifeboat-child:"

	// badCall is the exit code of a child that was started by hand or for a role this binary does not have.
	badCall = 2

	// orphanCheck is how often a child looks for its parent, and so about how long it may outlive it.
	orphanCheck = 50 * time.Millisecond

	// pipeGrace bounds how long Wait goes on reading a killed child's output, which a grandchild may still hold open.
	pipeGrace = 5 * time.Second
)

// Dispatch runs the role this process was started for, if any; ok is false in an ordinary process. It has to be the first
// thing main and every TestMain do, before flags are parsed and before anything is opened.
func Dispatch(ctx context.Context, argv []string, roles map[string]Role) (code int, ok bool) {
	if len(argv) < 2 || !strings.HasPrefix(argv[1], prefix) {
		return 0, false
	}
	name := strings.TrimPrefix(argv[1], prefix)
	role, known := roles[name]
	if !known || len(argv) < 3 {
		fmt.Fprintf(os.Stderr, "lifeboat: error: %q is a part of lifeboat that only lifeboat itself can start\n", name)
		return badCall, true
	}
	parent, err := strconv.Atoi(argv[2])
	if err != nil {
		fmt.Fprintf(os.Stderr, "lifeboat: error: parent process of %q: %v\n", name, err)
		return badCall, true
	}
	go dieWithParent(parent)
	return role(ctx, argv[3:], os.Stdin, os.Stdout, os.Stderr), true
}

// Command prepares a re-execution of this binary in the named role, to be started and waited for as any other command. The
// caller may set its standard streams and add descriptors through ExtraFiles (the first is descriptor 3). Cancelling ctx
// kills it with SIGKILL. It dies with this process, and a signal from the terminal does not reach it: what becomes of it
// is decided here, where ctx is.
//
// The kernel's own means, Pdeathsig, is not used for it: that fires when the *thread* which forked exits, and a command that
// the caller starts on whatever thread he runs on can be killed at any moment by the end of an unrelated locked
// goroutine. The child looks at its parent's process id instead, which changes when the parent is gone, whatever way.
func Command(ctx context.Context, role string, args ...string) *exec.Cmd {
	// The link and not the path it names: an upgrade may replace the file while we run, and the child must be our own kind.
	self, err := "/proc/self/exe", error(nil)
	if runtime.GOOS != "linux" {
		self, err = os.Executable()
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Args = append([]string{os.Args[0], prefix + role, strconv.Itoa(os.Getpid())}, args...)
	cmd.WaitDelay = pipeGrace
	if err != nil {
		cmd.Err = fmt.Errorf("find the running binary: %w", err)
	}
	apart(cmd)
	return cmd
}

// dieWithParent ends this process once parent is no longer its parent. Nothing can be cleaned up at that point that would
// not have to survive a SIGKILL anyway, so it kills itself.
func dieWithParent(parent int) {
	for os.Getppid() == parent {
		time.Sleep(orphanCheck)
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill() // only the current process: cannot fail in a way that leaves something to do
	}
}

// Start starts a prepared command, of this binary or a foreign one which does not know how to look for its parent, and tells
// on the channel what Wait returned. On Linux the kernel kills the command when this process ends.
//
// The goroutine that forks keeps its thread to itself and stays in Wait on it, so that the thread lives exactly as
// long as the command: this is what makes Pdeathsig mean the process and not a thread.
func Start(cmd *exec.Cmd) (<-chan error, error) {
	apart(cmd)
	killWithThread(cmd)
	started := make(chan error, 1)
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			done <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return done, nil
}
