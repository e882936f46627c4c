package guard

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func program(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWhatCannotBeRunIsFoundBefore(t *testing.T) {
	for name, c := range map[string]struct{ program, reason string }{
		"absent":                    {filepath.Join(t.TempDir(), "absent"), "there is no such program"},
		"not in the PATH":           {"no-such-program-anywhere", "there is no such program"},
		"a directory":               {t.TempDir(), "directory"},
		"not executable":            {program(t, "#!/bin/sh\n", 0o644), "not executable"},
		"a text without a first":    {program(t, "echo hello\n", 0o755), "does not say what runs it"},
		"an empty file":             {program(t, "", 0o755), "does not say what runs it"},
		"an interpreter that is no": {program(t, "#!/no/such/interpreter -x\n", 0o755), "/no/such/interpreter is not there"},
		"no interpreter":            {program(t, "#!  \n", 0o755), "names no interpreter"},
	} {
		t.Run(name, func(t *testing.T) {
			var e *NotRunnableError
			if _, err := Find([]string{c.program}); !errors.As(err, &e) || !strings.Contains(err.Error(), c.reason) || e.Hint() == "" {
				t.Errorf("got %v", err)
			}
		})
	}
	for name, args := range map[string][]string{
		"by the PATH": {"true"}, "a script": {program(t, "#! /bin/sh\nexit 0\n", 0o755)}, "a binary": {os.Args[0]},
		"a script whose interpreter is looked for": {program(t, "#!/usr/bin/env sh\n", 0o755)},
	} {
		if _, err := Find(args); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func run(t *testing.T, ctx context.Context, stdin string, args ...string) (Outcome, string, error) {
	t.Helper()
	c, err := Find(args)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o, err := c.Run(ctx, strings.NewReader(stdin), &out, &out)
	return o, out.String(), err
}

func TestACommandHasItsArgumentsStreamsAndStatus(t *testing.T) {
	o, out, err := run(t, t.Context(), "from stdin", "sh", "-c", `cat; echo " $0 $1" >&2; exit 7`, "a b", "c")
	if err != nil || o.ExitCode != 7 || o.Signal != 0 || o.OK() || out != "from stdin a b c\n" {
		t.Errorf("got %+v, %q, %v", o, out, err)
	}
	if o, _, err = run(t, t.Context(), "", "true"); err != nil || !o.OK() {
		t.Errorf("got %+v, %v", o, err)
	}
	o, _, err = run(t, t.Context(), "", "sh", "-c", "kill -KILL $$")
	if err != nil || o.OK() || o.Signal != syscall.SIGKILL || o.ExitCode != -1 || o.String() != "was ended by the signal killed" {
		t.Errorf("got %+v (%s), %v", o, o, err)
	}
}

func TestACommandIsNotBegunOnceItsTimeIsOver(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	why := errors.New("stopped before")
	stop(why)
	file := filepath.Join(t.TempDir(), "ran")
	if _, _, err := run(t, ctx, "", "touch", file); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("it ran")
	}
}

// TestACommandIsNotEndedByItsContext: half an upgrade is worse than one that goes on.
func TestACommandIsNotEndedByItsContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	c, err := Find([]string{"sh", "-c", "read x; echo went on"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o, err := c.Run(ctx, readAfter{stop, strings.NewReader("x\n")}, &out, &out)
	if err != nil || !o.OK() || out.String() != "went on\n" {
		t.Errorf("got %+v, %q, %v", o, out.String(), err)
	}
}

// readAfter ends a context before anything can be read.
type readAfter struct {
	stop func()
	text *strings.Reader
}

func (r readAfter) Read(p []byte) (int, error) {
	r.stop()
	return r.text.Read(p)
}
