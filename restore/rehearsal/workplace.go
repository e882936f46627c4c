package rehearsal

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	workName = "lifeboat-rehearsal-"
	keptName = "lifeboat-kept-rehearsal-" // not workName: what was kept on purpose is not swept away

	// sweepAge is how old an unlocked workplace must be to count as left behind: one is not locked in the moment it is made.
	sweepAge = time.Minute
)

// newWorkplace makes the throwaway directory in parent ("" is the system's temporary one), readable by us only: it will
// hold the database in plain. It is locked while we live, so that the next rehearsal recognises and removes what one has
// left that was killed.
func newWorkplace(parent string, keep bool, log *slog.Logger) (dir string, lock *os.File, err error) {
	if parent == "" {
		parent = os.TempDir()
	}
	if parent, err = filepath.Abs(parent); err != nil {
		return "", nil, err
	}
	sweep(parent, log)
	name := workName
	if keep {
		name = keptName
	}
	if dir, err = os.MkdirTemp(parent, name); err != nil {
		return "", nil, err
	}
	if lock, err = os.Open(dir); err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return "", nil, errors.Join(err, lock.Close(), os.Remove(dir))
	}
	return dir, lock, nil
}

// sweep removes the workplaces of our own user that nobody works in any more. What cannot be removed is not our business
// now.
func sweep(parent string, log *slog.Logger) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return // making a directory there will say it better
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), workName) || !abandoned(filepath.Join(parent, e.Name()), info) {
			continue
		}
		path := filepath.Join(parent, e.Name())
		if err := os.RemoveAll(path); err != nil {
			log.Warn("cannot remove what a killed rehearsal has left", "dir", path, "err", err)
			continue
		}
		log.Warn("removed what a killed rehearsal had left", "dir", path)
	}
}

func abandoned(path string, info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(owner.Uid) != os.Getuid() || time.Since(info.ModTime()) < sweepAge {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() // and with it the lock
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
