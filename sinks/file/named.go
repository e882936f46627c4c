package file

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// tempPrefix begins the names of unfinished files, where the file system has no files without names.
const tempPrefix = sinks.Reserved + "put-"

// staleAfter is the age from which an unfinished file cannot belong to a running Put any more: its time of
// modification moves with every piece written.
const staleAfter = 24 * time.Hour

// named fills a file beside the object-to-be, under a name no listing shows. A kill leaves that file; later puts remove it.
func named(root *os.Root, dir *os.File, key string, fill func(*os.File) error) error {
	removeStale(root, dir, path.Dir(key), time.Now())
	temp := path.Join(path.Dir(key), tempPrefix+rand.Text())
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(fill(f), f.Close())
	if err == nil {
		err = settle(root, dir, temp, key)
	}
	// After a rename there is nothing left to remove. A leftover is invisible, and harmless: it was going to be an object.
	if rmErr := root.Remove(temp); err != nil && rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
		err = errors.Join(err, rmErr)
	}
	return err
}

// settle gives the finished file its name, by a second name or, where there is no such thing, by renaming.
func settle(root *os.Root, dir *os.File, temp, key string) error {
	err := root.Link(temp, key)
	if !lacksLinks(err) {
		return err
	}
	return renameNew(dir, path.Base(temp), path.Base(key))
}

func lacksLinks(err error) bool {
	for _, no := range []syscall.Errno{syscall.EPERM, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EINVAL} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// removeStale removes what killed puts have left in one directory. Failing to is no reason not to store a backup.
func removeStale(root *os.Root, dir *os.File, at string, now time.Time) {
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return
	}
	for _, name := range names {
		if !strings.HasPrefix(name, tempPrefix) {
			continue
		}
		temp := path.Join(at, name)
		if info, err := root.Lstat(temp); err == nil && info.Mode().IsRegular() && now.Sub(info.ModTime()) > staleAfter {
			_ = root.Remove(temp)
		}
	}
}
