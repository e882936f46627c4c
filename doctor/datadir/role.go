package datadir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const (
	// RoleName is the name Role has to be dispatched under.
	RoleName = "datadir"

	maxWord = 256 // bytes of an error that are told
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
	debug.SetMaxStack(snapshot.MaxStack)
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
	out, err := child.Answer(ctx, child.Command(ctx, RoleName, string(arg)))
	var crash *child.Crash
	switch {
	case errors.As(err, &crash):
		return answer{Damaged: "it kills the process that reads it (" + word(crash.Why) + ")"}, nil
	case err != nil:
		return answer{}, err
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
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
