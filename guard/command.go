package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A NotRunnableError is a command that cannot be run, as far as can be told without running it.
type NotRunnableError struct {
	Name, Reason, Advice string
	Err                  error
}

func (e *NotRunnableError) Error() string {
	return fmt.Sprintf("%s cannot be run: %s", e.Name, e.Reason)
}

// Hint tells what to do about it.
func (e *NotRunnableError) Hint() string { return e.Advice }

func (e *NotRunnableError) Unwrap() error { return e.Err }

// A Command is a program that was found, with its arguments.
type Command struct {
	Args []string // as they were given
	path string
}

// Find looks for the program that args name, as a shell would but for a shell's own commands. What can be wrong with it is found now:
// that it is there and may be run, and that it is a binary or a script whose interpreter is there.
func Find(args []string) (*Command, error) {
	path, err := exec.LookPath(args[0])
	switch {
	case errors.Is(err, exec.ErrDot):
		return nil, &NotRunnableError{args[0], "it lies in this directory, which is in PATH", "write ./" + args[0], err}
	case errors.Is(err, fs.ErrPermission):
		return nil, &NotRunnableError{args[0], "it is not executable", "chmod +x it, or name the program that runs it: guard -- sh " + args[0], err}
	case err != nil && !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrNotExist):
		return nil, &NotRunnableError{args[0], errors.Unwrap(err).Error(), "give the path of a program", err}
	case err != nil:
		return nil, &NotRunnableError{args[0], "there is no such program", "give its path; what only a shell knows runs in one: guard -- sh -c '…'", err}
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("find %s: %w", args[0], err)
	}
	return &Command{args, path}, checkScript(args[0], path)
}

// checkScript looks whether a text says what runs it, which a shell does without and the kernel does not. What cannot be read is not judged.
func checkScript(name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	head := make([]byte, 512)
	n, _ := io.ReadFull(f, head)
	if head = head[:n]; bytes.IndexByte(head, 0) >= 0 { // not a text
		return nil
	}
	line, found := bytes.CutPrefix(head, []byte("#!"))
	if !found {
		return &NotRunnableError{Name: name, Reason: "it is a script that does not say what runs it", Advice: "begin it with a line such as #!/bin/sh, or: guard -- sh " + name}
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	words := strings.Fields(string(line))
	if len(words) == 0 {
		return &NotRunnableError{Name: name, Reason: "its first line names no interpreter", Advice: "begin it with a line such as #!/bin/sh"}
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		return &NotRunnableError{name, "its interpreter " + words[0] + " is not there, or not executable", "mend its first line", err}
	}
	return nil
}

// An Outcome is how a command ended.
type Outcome struct {
	Took     time.Duration
	ExitCode int            // -1 if it did not exit by itself
	Signal   syscall.Signal // that ended it; 0 if none did
	Passed   syscall.Signal // the last that reached us while it ran; 0 if none did
}

// OK reports whether the command did what it was to do, as far as it says.
func (o Outcome) OK() bool { return o.ExitCode == 0 }

// String says it in words.
func (o Outcome) String() string {
	if o.Signal != 0 {
		return fmt.Sprintf("was ended by the signal %s", o.Signal)
	}
	return fmt.Sprintf("exited with status %d", o.ExitCode)
}

// Run runs the command to its end, however long that takes: once it has begun, the end of ctx is nothing to it. It fails only if ctx has
// ended before, or if it cannot be started. Signals that ask us to end are for the command: it decides what becomes of
// them, and we stay until it is gone.
//
// It shares our process group, so that it can use the terminal as if we were not there. What the terminal sends (Ctrl-C, Ctrl-\, a hang-up)
// reaches it without us, and is passed on only where we are not in the foreground of one: it must not arrive twice, because many
// programs take the second for an order to give up their cleanup. SIGTERM never comes from a terminal.
func (c *Command) Run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) (Outcome, error) {
	cmd := exec.Command(c.path, c.Args[1:]...)
	cmd.Args[0] = c.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	got := make(chan os.Signal, 8)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(s) { // as nohup has it, for the command too
			signal.Notify(got, s)
		}
	}
	defer signal.Stop(got)
	if ctx.Err() != nil { // looked at only now: a signal from here on is not lost
		return Outcome{}, context.Cause(ctx)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return Outcome{}, fmt.Errorf("it could not be started: %w", err)
	}
	var o Outcome
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-got:
			o.Passed = s.(syscall.Signal)
			if o.Passed == syscall.SIGTERM || !inForeground() {
				_ = cmd.Process.Signal(s) // it may just have ended
			}
		case <-ended: // how, is in its state
			o.Took = time.Since(began)
			o.ExitCode = cmd.ProcessState.ExitCode()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				o.Signal = status.Signal()
			}
			return o, nil
		}
	}
}
