package restore

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/disk"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// The exit codes of an editing process that says why on stderr; a crash has another.
const (
	editRefused = 3
	editFull    = 4 // there is no room for its changes
)

const (
	// lockWait bounds the wait for the file's lock, which nobody else should hold.
	lockWait = 10 * time.Second

	// editPlace is the descriptor the file comes on.
	editPlace = 3

	keyBucket  = "key"
	metaBucket = "meta"

	scheduledCompact = "scheduledCompactRev"
	finishedCompact  = "finishedCompactRev"
)

// EditMain is the child.Role that changes a database file, given as descriptor 3. It opens the file, tells its layout if that is
// asked for, reads its order from stdin, makes the changes, and tells what came of them. It does not sync: its parent does,
// once for all members.
func EditMain(_ context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	gap, look := int64(0), false
	if len(args) == 2 {
		gap, _ = strconv.ParseInt(args[0], 10, 64) // 0 is caught below
		look = args[1] == strconv.FormatBool(true)
	}
	if gap <= 0 {
		fmt.Fprintln(stderr, "lifeboat: error: the editing process is started by lifeboat itself")
		return editRefused
	}
	debug.SetGCPercent(50) // as in the inspecting process, whose limits these are
	debug.SetMaxStack(snapshot.MaxStack)
	ended := make(chan error, 2)
	go func() {
		ended <- editFile(os.NewFile(editPlace, "db"), gap, look, bufio.NewReader(stdin), json.NewEncoder(stdout), func() { ended <- errTooMuch })
	}()
	err := <-ended
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, err)
	switch {
	case errors.Is(err, errTooMuch):
		return 1 // as good as a crash
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return editFull
	}
	return editRefused
}

// errTooMuch says that the file is not sound.
var errTooMuch = errors.New("it takes more memory than a sound file can need")

func editFile(f *os.File, gap int64, look bool, in *bufio.Reader, out *json.Encoder, tooMuch func()) error {
	done := &edited{}
	err := withDatabase(f, tooMuch, func(db *bbolt.DB, pages *pageMap) (err error) {
		before := pages.layout(gap)
		if look {
			if err := out.Encode(before); err != nil {
				return err
			}
		}
		var o order
		if err := readLine(in, &o); err != nil {
			return fmt.Errorf("wait for the order: %w", err)
		}
		if err := punch(f, before); err != nil {
			return err
		}
		done, err = o.carryOut(db, pages, gap)
		return err
	})
	if err != nil {
		return err
	}
	return out.Encode(done)
}

// punch makes holes of what is dead before anything is changed: HashKV is then computed from the file with its holes, and what is dead in the end was
// dead before.
func punch(f *os.File, l layout) error {
	for _, gap := range l.Gaps {
		if err := disk.Punch(f, gap.Off, gap.Len); err != nil {
			return err
		}
	}
	return nil
}

// withDatabase opens the file for do, which gets its pages as well. Opening takes as long as all later changes, because bbolt goes through all pages of a file
// that does not list the free ones, as etcd's do not: so it is done at once, while another process inspects the file. Both have got the same open file, so that
// bbolt's lock on it is one and keeps neither waiting. Nothing is written before do does. tooMuch is called if more memory is taken until then than a
// sound file can need.
func withDatabase(f *os.File, tooMuch func(), do func(db *bbolt.DB, pages *pageMap) error) (err error) {
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	if st.Size() == 0 { // bbolt would make one of it
		return errors.New("open the database: the file is empty")
	}
	fd, err := syscall.Dup(int(f.Fd())) // bbolt closes what it has opened
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	// Nobody has looked at the file yet. What is wrong with one that takes too much memory, the inspection tells.
	stop := child.GuardMemory(snapshot.MaxMemory(st.Size()), tooMuch)
	db, err := bbolt.Open(f.Name(), fileMode, &bbolt.Options{
		OpenFile:       func(string, int, os.FileMode) (*os.File, error) { return os.NewFile(uintptr(fd), f.Name()), nil },
		Timeout:        lockWait,
		NoFreelistSync: true, // as etcd has it; without it bbolt would write a list of free pages right now
		FreelistType:   bbolt.FreelistMapType,
		NoGrowSync:     true,
		NoSync:         true,
	})
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	disk.ReadAround(db.Info().Data, st.Size())
	pages := &pageMap{db: db, file: f}
	if err := pages.look(); err != nil {
		return err
	}
	stop()
	debug.FreeOSMemory() // what it took to open the file is not needed while the order is waited for
	return do(db, pages)
}

// carryOut makes the changes in two commits: HashKV can only be computed between them. The pages are looked at on another core.
func (o order) carryOut(db *bbolt.DB, pages *pageMap, gap int64) (*edited, error) {
	done := &edited{}
	err := db.Update(func(tx *bbolt.Tx) error { return change(tx, o) })
	if err != nil {
		return nil, err
	}
	var between errgroup.Group
	between.Go(pages.look)
	between.Go(func() (err error) {
		done.Hash, err = checkHash(db, o)
		return err
	})
	if err := between.Wait(); err != nil {
		return nil, err
	}
	if o.Bump > 0 {
		if err := db.Update(func(tx *bbolt.Tx) error { return bump(tx, o) }); err != nil {
			return nil, err
		}
		if err := pages.look(); err != nil {
			return nil, err
		}
	}
	err = db.View(func(tx *bbolt.Tx) (err error) {
		done.Newest, err = newestRevision(tx)
		return err
	})
	if want := o.Newest + o.Bump; err == nil && done.Newest != want {
		err = fmt.Errorf("the newest revision is %d where %d was expected", done.Newest, want)
	}
	done.layout = pages.layout(gap)
	return done, err
}

func readLine(in *bufio.Reader, v any) error {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

// change applies the order but for the bump.
func change(tx *bbolt.Tx, o order) error {
	for _, name := range o.Clear {
		if tx.Bucket([]byte(name)) != nil {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				return fmt.Errorf("empty %s: %w", name, err)
			}
		}
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return fmt.Errorf("empty %s: %w", name, err)
		}
	}
	for _, r := range o.Delete {
		if b := tx.Bucket([]byte(r.Bucket)); b != nil {
			if err := b.Delete(r.Key); err != nil {
				return fmt.Errorf("delete %s of %s: %w", r.Key, r.Bucket, err)
			}
		}
	}
	for _, r := range o.Put {
		b, err := tx.CreateBucketIfNotExists([]byte(r.Bucket))
		if err != nil {
			return fmt.Errorf("make %s: %w", r.Bucket, err)
		}
		if err := b.Put(r.Key, r.Value); err != nil {
			return fmt.Errorf("put %s into %s: %w", r.Key, r.Bucket, err)
		}
	}
	return nil
}

// checkHash hashes what the file now holds. It must come before the bump, which compacts all history.
func checkHash(db *bbolt.DB, o order) (uint32, error) {
	var hash uint32
	err := db.View(func(tx *bbolt.Tx) (err error) {
		hash, err = snapshot.HashKV(tx, o.Hash.Revision, o.Hash.CompactRevision)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("hash what was written: %w", err)
	}
	if hash != o.Want {
		return 0, fmt.Errorf("HashKV of what was written is %08x at revision %d, the backup's is %08x", hash, o.Hash.Revision, o.Want)
	}
	return hash, nil
}

// bump puts an empty record far above the newest revision and schedules the compaction up to it, as etcdutl does: every
// watch from before is told that its revision is gone, and no new revision was ever seen by anybody.
func bump(tx *bbolt.Tx, o order) error {
	newest, err := newestRevision(tx)
	if err != nil {
		return err
	}
	if newest != o.Newest {
		return fmt.Errorf("the newest revision is %d where %d was expected", newest, o.Newest)
	}
	to := revisionKey(newest + o.Bump)
	if err := tx.Bucket([]byte(keyBucket)).Put(to, []byte{}); err != nil {
		return fmt.Errorf("raise the revision: %w", err)
	}
	if err := tx.Bucket([]byte(metaBucket)).Put([]byte(scheduledCompact), to); err != nil {
		return fmt.Errorf("mark the revision compacted: %w", err)
	}
	return nil
}

// revisionLen is the length of a revision key: main, '_', sub. A tombstone's has one byte more.
const revisionLen = 8 + 1 + 8

// revisionKey is the key {main, 0}.
func revisionKey(main int64) []byte {
	key := make([]byte, revisionLen)
	binary.BigEndian.PutUint64(key, uint64(main))
	key[8] = '_'
	return key
}

// newestRevision is where etcd will take its revision from: the last record or, if that has been compacted away, the
// compaction; 1, where etcd begins, if there is neither.
func newestRevision(tx *bbolt.Tx) (int64, error) {
	newest := int64(1)
	keys, meta := tx.Bucket([]byte(keyBucket)), tx.Bucket([]byte(metaBucket))
	if keys == nil || meta == nil {
		return 0, errors.New("the database has no bucket of keys, or none of meta data")
	}
	last, _ := keys.Cursor().Last()
	for _, at := range [][]byte{last, meta.Get([]byte(scheduledCompact)), meta.Get([]byte(finishedCompact))} {
		if at == nil {
			continue
		}
		if len(at) < revisionLen || at[8] != '_' {
			return 0, fmt.Errorf("%q is not a revision", at)
		}
		newest = max(newest, int64(binary.BigEndian.Uint64(at)))
	}
	return newest, nil
}
