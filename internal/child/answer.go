package child

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
)

const (
	maxAnswer = 16 << 20 // bytes of stdout
	maxLog    = 64 << 10 // bytes of stderr; the beginning counts, there a crash says what it is
)

// A Crash is how a child died of what it read: a fault, a panic, or an exit without an answer.
type Crash struct{ Why string }

func (e *Crash) Error() string { return "the child process died: " + e.Why }

// Answer runs a command of Command with its ctx, and returns the beginning of what it wrote to stdout. It fails with a *Crash if the child died
// of what it read. Every other error says nothing about that: the cause of ctx, a child that could not be started, and one that was ended
// from outside, mostly by the kernel for lack of memory.
func Answer(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	out, log := &bounded{max: maxAnswer}, &bounded{max: maxLog}
	cmd.Stdout, cmd.Stderr = out, log
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, Died(err, log.String())
	}
	return out.Bytes(), nil
}

// Died judges a child that did not live to answer by how it ended and by what it wrote to stderr, as Answer does.
func Died(err error, log string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("start child process: %w", err)
	}
	said, outside := lastWords(log)
	why := cmp.Or(said, exit.String())
	status, _ := exit.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled() && (status.Signal() == syscall.SIGKILL || status.Signal() == syscall.SIGTERM):
		return fmt.Errorf("the child process was killed (%s): is there enough memory?", status.Signal())
	case outside || status.Signaled() && !isFault(status.Signal()):
		return fmt.Errorf("the child process was ended from outside (%s)", why)
	case strings.Contains(log, "out of memory"), strings.Contains(log, "cannot allocate memory"), strings.Contains(log, "failed to create new OS thread"):
		return fmt.Errorf("the child process: %s", why)
	}
	return &Crash{why}
}

// lastWords finds in what a child wrote to stderr what Go says first when it gives up, and whether that is of a signal from outside: of a person who wants
// to see stacks, or of a sandbox. SIGHUP, SIGINT and SIGTERM end it without a word, and a fault that somebody sent looks like one of its own.
func lastWords(log string) (line string, outside bool) {
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		switch about, text, _ := strings.Cut(line, ":"); {
		case about == "SIGQUIT", about == "SIGABRT", about == "SIGSYS":
			return line, true
		case about == "panic", about == "fatal error", about == "SIGSEGV", about == "SIGBUS", about == "SIGILL", about == "SIGFPE", about == "SIGTRAP",
			about == "runtime" && (strings.HasPrefix(text, " goroutine stack exceeds") || strings.HasPrefix(text, " failed to create new OS thread")):
			return line, false
		}
	}
	return "", false
}

// isFault tells whether a process gets the signal for what it does itself.
func isFault(s syscall.Signal) bool {
	switch s {
	case syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE, syscall.SIGTRAP, syscall.SIGABRT:
		return true
	}
	return false
}

// bounded keeps the first max bytes and swallows the rest.
type bounded struct {
	bytes.Buffer
	max int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), b.max-b.Len())])
	return len(p), nil
}
