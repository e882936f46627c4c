package restore

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// EditRole is the name of the process in which the database is changed: opening a bbolt file can kill whoever does it.
const EditRole = "restore-edit"

// An order is what the editing process is told to change, in one line of JSON.
type order struct {
	Clear  []string           `json:"clear"`  // buckets to empty
	Delete []record           `json:"delete"` // values are ignored
	Put    []record           `json:"put"`
	Hash   snapshot.HashPoint `json:"hash"`   // where HashKV must be …
	Want   uint32             `json:"want"`   // … this, after the changes and before the bump
	Bump   int64              `json:"bump"`   // raise the newest revision by this much and mark it compacted; 0 = do not
	Newest int64              `json:"newest"` // the newest revision that is expected before the bump
}

type record struct {
	Bucket string `json:"bucket"`
	Key    []byte `json:"key"`
	Value  []byte `json:"value,omitempty"`
}

// edited is the last answer of the editing process.
type edited struct {
	layout
	Hash   uint32 `json:"hash"`
	Newest int64  `json:"newest"` // the newest revision, bump included
}

// An editor is the editing process at work on one file, which it leaves unchanged until apply.
type editor struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	before layout // if it was to look
}

// startEditor starts a process of its own for db, which opens it at once. With look, it returns once that has told which of its pages are dead.
func startEditor(ctx context.Context, db *os.File, look bool) (*editor, error) {
	e := &editor{cmd: child.Command(ctx, EditRole, strconv.Itoa(minGap), strconv.FormatBool(look))}
	e.cmd.ExtraFiles = []*os.File{db}
	e.cmd.Stderr = &e.stderr
	var err error
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.out = bufio.NewReader(out)
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the editing process: %w", err)
	}
	if !look {
		return e, nil
	}
	if err := e.hear(&e.before); err != nil {
		return nil, e.failed(ctx, err)
	}
	if err := e.before.valid(); err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

// apply has the changes made, and returns once the process has ended well.
func (e *editor) apply(ctx context.Context, o order) (*edited, error) {
	line, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	if _, err := e.in.Write(append(line, '\n')); err != nil {
		return nil, e.failed(ctx, err)
	}
	var done edited
	if err := e.hear(&done); err != nil {
		return nil, e.failed(ctx, err)
	}
	_ = e.in.Close() // the process has answered and is about to end
	if err := e.cmd.Wait(); err != nil {
		return nil, fmt.Errorf("the editing process: %w", err)
	}
	e.cmd = nil
	return &done, done.valid()
}

// stop ends a process that was not told to apply, or failed to. It is fine to call it after apply.
func (e *editor) stop() {
	if e.cmd == nil {
		return
	}
	_ = e.in.Close() // end of orders
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait() // it was killed
	e.cmd = nil
}

func (e *editor) hear(v any) error {
	line, err := e.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

// failed ends the process and tells why it did not do its work, which is what it said last rather than our broken pipe.
func (e *editor) failed(ctx context.Context, err error) error {
	_ = e.in.Close()
	wait := e.cmd.Wait()
	e.cmd = nil
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	said, _, _ := strings.Cut(strings.TrimSpace(e.stderr.String()), "\n")
	var exit *exec.ExitError
	if !errors.As(wait, &exit) {
		return fmt.Errorf("the editing process: %w", errors.Join(err, wait))
	}
	switch exit.ExitCode() {
	case editRefused:
		return errors.New(said)
	case editFull:
		return noRoom(said)
	}
	died := child.Died(exit, e.stderr.String())
	var crash *child.Crash
	if !errors.As(died, &crash) {
		return died
	}
	return fmt.Errorf("the editing process died on this file: %s: %w", cmp.Or(said, crash.Why), snapshot.ErrDamaged)
}

// noRoom is what an editing process says that finds no room for its changes, and matches syscall.ENOSPC.
type noRoom string

func (e noRoom) Error() string        { return string(e) }
func (e noRoom) Is(target error) bool { return target == syscall.ENOSPC }
