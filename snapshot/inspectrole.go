package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"

	"go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/disk"
)

const (
	// InspectRoleName is the name InspectRole has to be dispatched under.
	InspectRoleName = "inspect"

	// inspectInTurn is the argument that has the contents read only after the check.
	inspectInTurn = "in-turn"

	inspected = 3 // the descriptor
)

// InspectRole is Inspect's child process: it inspects descriptor 3 and writes one line of JSON. It may die of a damaged file.
func InspectRole(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	debug.SetGCPercent(50) // a bit of time for less memory: the set of keys is most of it, and it only grows
	debug.SetMaxStack(MaxStack)
	var o InspectOptions
	inTurn := len(args) == 2 && args[1] == inspectInTurn
	if len(args) != 1 && !inTurn || json.Unmarshal([]byte(args[0]), &o) != nil {
		fmt.Fprintln(stderr, "lifeboat: error: inspect is started by lifeboat itself")
		return 2
	}
	answers := make(chan verdict, 2)
	go func() { answers <- judge(inspect(o, inTurn, answers)) }()
	var v verdict
	select {
	case v = <-answers:
		if v.doubtful && !inTurn { // no answer is a crash to Inspect, which has everything done again, in turn
			fmt.Fprintln(stderr, v.Damaged)
			return 1
		}
	case <-ctx.Done():
		v = verdict{Failed: ctx.Err().Error()}
	}
	if err := json.NewEncoder(stdout).Encode(v); err != nil {
		fmt.Fprintf(stderr, "lifeboat: error: %v\n", err)
		return 1
	}
	return 0
}

func judge(info *Info, err error) verdict {
	switch {
	case errors.Is(err, ErrDamaged):
		return verdict{Damaged: err.Error()}
	case errors.Is(err, ErrRevision):
		return verdict{Revision: err.Error()}
	case err != nil:
		return verdict{Failed: err.Error()}
	}
	return verdict{Info: info}
}

// inspect does the work: bbolt's check of the structure and the pass over the contents side by side on two cores, or inTurn.
// The check's verdict comes first. Should more memory be taken meanwhile than a sound file can need, the verdict goes to
// answers past it.
func inspect(o InspectOptions, inTurn bool, answers chan<- verdict) (*Info, error) {
	f, size, err := descriptor(o.SharesLock)
	if err != nil {
		return nil, err
	}
	db, err := openDatabase(f, size)
	if err != nil {
		return nil, err
	}
	// Neither it nor the check's transaction is closed: the process ends with the answer, and they may be in use for ever.
	info := &Info{}
	if o.HeadOnly { // nothing has checked the pages, and bbolt may go down a tree that contains itself for ever
		defer guardMemory(0, answers)()
		return info, db.View(func(tx *bbolt.Tx) error { return readMeta(tx, info) })
	}
	contents := make(chan error, 1)
	read := func() {
		contents <- db.View(func(tx *bbolt.Tx) error {
			if err := readContents(tx, info); err != nil {
				return err
			}
			return readKeys(tx, o, info)
		})
	}
	if !inTurn {
		go read()
	}
	stop := guardMemory(size, answers)
	tx, err := db.Begin(false)
	if err == nil {
		err = checkPages(tx, f, info) // which goes on using tx behind the first fault
	}
	stop()
	if err != nil {
		return nil, err
	}
	if inTurn {
		read()
	}
	return info, <-contents
}

// descriptor is descriptor 3, and its size in bytes. Where /proc allows, it is opened anew, so that neither bbolt's lock nor anything else of ours is shared with
// whoever holds the descriptor; unless sharesLock.
func descriptor(sharesLock bool) (*os.File, int64, error) {
	f := os.NewFile(inspected, "snapshot")
	if !sharesLock {
		if own, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", inspected)); err == nil {
			f = own
		}
	}
	st, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("snapshot descriptor: %w", err)
	}
	return f, st.Size(), nil
}

// openDatabase opens a file with bbolt, for reading only.
func openDatabase(f *os.File, size int64) (*bbolt.DB, error) {
	db, err := bbolt.Open("snapshot", 0o400, &bbolt.Options{
		ReadOnly: true,
		OpenFile: func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	})
	var errno syscall.Errno
	if errors.As(err, &errno) { // from the system, and not from what is in the file
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err != nil {
		return nil, damaged("the file is no bbolt database: %w", err)
	}
	disk.ReadAround(db.Info().Data, size)
	return db, nil
}

// guardMemory gives a verdict as soon as this process takes more memory than the check of a sound database of size bytes, until it is stopped.
func guardMemory(size int64, answers chan<- verdict) (stop func()) {
	limit := MaxMemory(size)
	return child.GuardMemory(limit, func() {
		answers <- verdict{doubtful: true, Damaged: fmt.Sprintf("bbolt check: takes more than %d MiB of memory, so its pages cannot be sound", limit>>20)}
	})
}
