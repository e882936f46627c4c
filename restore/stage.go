package restore

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// A stage is the folder in which a restore is made, beside its destination and so on the same file system. Its name begins
// with a dot and ends in .partial-<id>, and whatever is in it has no write-ahead log until all the rest is complete and
// on the disk: no etcd can start on it.
//
// Where the file system can (ext4, xfs, btrfs, tmpfs), files with contents have no name until they are complete and
// checked: a restore that is killed before leaves an empty folder. Elsewhere they lie in the stage, readable by the
// owner only, and a kill leaves them there.
type stage struct {
	dir      string
	lock     *os.File // of dir: a stage without a locked folder was left by a process that is gone
	nameless bool
	made     []string // folders above dir that had to be made, the outermost first
	count    int
}

// partialName recognises stages.
var partialName = regexp.MustCompile(`^\.(.+)\.partial-[0-9a-f]{16}$`)

// newStage makes a stage in parent for something called name. With named, files have names from the beginning.
func newStage(parent, name string, named bool) (*stage, error) {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	s := &stage{dir: filepath.Join(parent, "."+name+".partial-"+hex.EncodeToString(id))}
	if err := s.makeAbove(parent); err != nil {
		return nil, errors.Join(err, s.discard())
	}
	if err := os.Mkdir(s.dir, dirMode); err != nil {
		return nil, errors.Join(err, s.discard())
	}
	var err error
	if s.lock, err = os.Open(s.dir); err != nil {
		return nil, errors.Join(err, s.discard())
	}
	lockFolder(s.lock)
	s.nameless = !named && s.canBeNameless()
	return s, nil
}

// makeAbove makes the missing folders down to dir.
func (s *stage) makeAbove(dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.makeAbove(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	s.made = append(s.made, dir)
	return nil
}

// syncAbove makes the names of the folders that makeAbove has made durable.
func (s *stage) syncAbove() error {
	for _, dir := range s.made {
		if err := syncAt(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// canBeNameless finds out whether a file without a name can be made here and be given one later.
func (s *stage) canBeNameless() bool {
	f, err := openNameless(s.dir)
	if err != nil {
		return false
	}
	defer f.Close()
	probe := filepath.Join(s.dir, "probe")
	if giveName(f, probe) != nil {
		return false
	}
	return os.Remove(probe) == nil
}

// create makes an empty file that only its owner can read.
func (s *stage) create() (*os.File, error) {
	if s.nameless {
		return openNameless(s.dir)
	}
	s.count++
	return os.OpenFile(filepath.Join(s.dir, fmt.Sprintf("file-%d", s.count)), os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
}

// scratch makes a file that never gets a name: it is gone when it is closed, or when the process is.
func (s *stage) scratch() (*os.File, error) {
	f, err := s.create()
	if err != nil || s.nameless {
		return f, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// place gives a complete file its name.
func (s *stage) place(f *os.File, path string) error {
	if s.nameless {
		return giveName(f, path)
	}
	return os.Rename(f.Name(), path)
}

// discard removes the stage with all it holds, and the folders above that were made for it, if nothing else is in them.
func (s *stage) discard() error {
	err := os.RemoveAll(s.dir)
	s.unlock()
	for len(s.made) > 0 {
		last := s.made[len(s.made)-1]
		s.made = s.made[:len(s.made)-1]
		if rm := os.Remove(last); rm != nil && !errors.Is(rm, fs.ErrNotExist) && !errors.Is(rm, fs.ErrExist) {
			break // somebody else uses it by now
		}
	}
	return err
}

// done forgets the stage, whose folder has been renamed or emptied.
func (s *stage) done() { s.unlock() }

func (s *stage) unlock() {
	if s.lock != nil {
		_ = s.lock.Close() // it was opened to be locked, nothing was written
		s.lock = nil
	}
}

// leftovers lists the stages for name in parent that no process is at work in.
func leftovers(parent, name string) []string {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil // no parent, no leftovers
	}
	var all []string
	for _, e := range entries {
		m := partialName.FindStringSubmatch(e.Name())
		if m == nil || m[1] != name || !e.IsDir() || strings.ContainsRune(e.Name(), filepath.Separator) {
			continue
		}
		if path := filepath.Join(parent, e.Name()); abandoned(path) {
			all = append(all, path)
		}
	}
	return all
}

// abandoned reports whether a stage is not locked by a running process. A process that was killed while it started another may seem to
// hold the lock for a moment longer, until that other one is up; so it is asked again for a little while.
func abandoned(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	for range lockTries {
		if lockFolder(f) {
			return true
		}
		time.Sleep(lockPause)
	}
	return false
}

// lockTries and lockPause bound that while.
const (
	lockTries = 10
	lockPause = 50 * time.Millisecond
)

// syncAt makes durable what a file holds, or which names are in a folder; owner, mode and label with it.
func syncAt(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// moveUnguarded renames where nothing better is offered: rename replaces an empty folder, and only the look before says that
// there is none.
func moveUnguarded(from, to string) error {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: errors.Join(fs.ErrExist, err)}
	}
	return os.Rename(from, to)
}

// canShare finds out whether files here can share blocks.
func (s *stage) canShare() bool {
	a, err := s.scratch()
	if err != nil {
		return false
	}
	defer a.Close()
	b, err := s.scratch()
	if err != nil {
		return false
	}
	defer b.Close()
	if _, err := a.Write(make([]byte, minGap)); err != nil {
		return false
	}
	return reflink(b, a) == nil
}
