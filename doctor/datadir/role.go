package datadir

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

const (
	// RoleName is the name Role has to be dispatched under.
	RoleName = "datadir"

	maxStack  = 64 << 20 // damage can send bbolt into endless recursion
	maxAnswer = 16 << 20 // bytes of JSON from the child
	maxStderr = 64 << 10 // the beginning counts, there a crash says what it is
	maxWord   = 256      // bytes of an error that are told
)

// errGone says that a file was there when the directory was listed, and not when it was to be read.
var errGone = errors.New("its files change while they are read")

// order tells the child what to read: a database's small buckets, or a log with its snapshots.
type order struct {
	DB       string   `json:"db,omitempty"`
	WALDir   string   `json:"wal_dir,omitempty"`
	Segments []string `json:"segments,omitempty"`
	SnapDir  string   `json:"snap_dir,omitempty"`
	Snaps    []string `json:"snaps,omitempty"`
}

// answer is what the child says: what was asked for, or why not.
type answer struct {
	Log     *logFacts `json:"log,omitempty"`
	DB      *dbFacts  `json:"db,omitempty"`
	Gone    bool      `json:"gone,omitempty"`
	Damaged string    `json:"damaged,omitempty"` // what is wrong with what was read, or how the child died of it
	Failed  string    `json:"failed,omitempty"`
}

// Role is Inspect's child process: it reads what its only argument orders and writes one line of JSON. It may die of what it reads.
func Role(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	debug.SetMaxStack(maxStack)
	var o order
	if len(args) != 1 || json.Unmarshal([]byte(args[0]), &o) != nil {
		fmt.Fprintln(stderr, "lifeboat: error: datadir is started by lifeboat itself")
		return 2
	}
	a, err := o.carryOut(ctx)
	var bad damageError
	switch {
	case errors.As(err, &bad):
		a = answer{Damaged: bad.text}
	case errors.Is(err, fs.ErrNotExist):
		a = answer{Gone: true}
	case err != nil:
		a = answer{Failed: err.Error()}
	}
	if err := json.NewEncoder(stdout).Encode(a); err != nil {
		fmt.Fprintf(stderr, "lifeboat: error: %v\n", err)
		return 1
	}
	return 0
}

func (o order) carryOut(ctx context.Context) (a answer, err error) {
	if o.DB != "" {
		a.DB, err = readDatabase(o.DB)
		return a, err
	}
	a.Log, err = readLog(ctx, o)
	return a, err
}

// ask has a child carry out the order. That it died of what it read is part of the answer.
func ask(ctx context.Context, o order) (answer, error) {
	arg, err := json.Marshal(o)
	if err != nil {
		return answer{}, err
	}
	out, log := &bounded{max: maxAnswer}, &bounded{max: maxStderr}
	cmd := child.Command(ctx, RoleName, string(arg))
	cmd.Stdout, cmd.Stderr = out, log
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return answer{}, context.Cause(ctx)
		}
		return died(err, log.String())
	}
	var a answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return answer{}, fmt.Errorf("unreadable answer of the child process: %w", err)
	}
	switch {
	case a.Gone:
		return answer{}, errGone
	case a.Failed != "":
		return answer{}, errors.New(a.Failed)
	}
	return a, nil
}

// died judges a child that did not live to answer. A fault or panic is the file's doing; SIGKILL and a lack of memory are not.
func died(err error, log string) (answer, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return answer{}, fmt.Errorf("start child process: %w", err)
	}
	why := exit.String()
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.HasPrefix(line, "runtime: goroutine stack exceeds") {
			why = line
			break
		}
	}
	status, _ := exit.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled() && (status.Signal() == syscall.SIGKILL || status.Signal() == syscall.SIGTERM):
		return answer{}, fmt.Errorf("the child process was killed (%s): is there enough memory?", status.Signal())
	case strings.Contains(log, "out of memory") || strings.Contains(log, "cannot allocate memory"):
		return answer{}, fmt.Errorf("the child process: %s", why)
	}
	return answer{Damaged: "it kills the process that reads it (" + word(why) + ")"}, nil
}

// word makes a text that comes from a file or a crash fit to print on a line.
func word(s string) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxWord {
		s = strings.ToValidUTF8(s[:maxWord], "") + "…"
	}
	return s
}

// open opens a file that has to be a regular one: to open anything else could block for ever.
func open(path string, limit int64) (*os.File, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	if st.Size() > limit {
		return nil, damage("it has %d bytes: no etcd writes one that is larger than %d", st.Size(), limit)
	}
	return os.Open(path)
}

// damageError is a fault of what was read, and not of reading it.
type damageError struct{ text string }

func (e damageError) Error() string { return e.text }

func damage(format string, args ...any) error {
	return damageError{word(fmt.Sprintf(format, args...))}
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
