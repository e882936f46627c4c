package file

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// publishers returns the ways to make a file appear, best first.
func publishers() []publisher { return []publisher{unnamed, named} }

// unnamed fills a file that has no name at all until it is complete, so that not even SIGKILL leaves anything.
func unnamed(_ *os.Root, dir *os.File, key string, fill func(*os.File) error) (err error) {
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		if missing(err) {
			return errUnsupported
		}
		return err
	}
	self := fmt.Sprintf("/proc/self/fd/%d", fd)
	f := os.NewFile(uintptr(fd), self)
	defer func() { err = errors.Join(err, f.Close()) }()
	// Without /proc the file could never get its name, except by privilege: find out before the work.
	if _, err := os.Lstat(self); err != nil {
		return errUnsupported
	}
	if err := fill(f); err != nil {
		return err
	}
	err = unix.Linkat(unix.AT_FDCWD, self, int(dir.Fd()), path.Base(key), unix.AT_SYMLINK_FOLLOW)
	if missing(err) {
		return errUnsupported
	}
	return err
}

// missing tells whether a file system refused because it cannot do this at all.
func missing(err error) bool {
	switch err {
	case unix.EOPNOTSUPP, unix.EISDIR, unix.EINVAL, unix.ENOSYS, unix.EPERM, unix.EXDEV, unix.ENOENT:
		return true
	}
	return false
}

// renameNew renames within one directory, failing with EEXIST rather than replacing.
func renameNew(dir *os.File, from, to string) error {
	err := unix.Renameat2(int(dir.Fd()), from, int(dir.Fd()), to, unix.RENAME_NOREPLACE)
	if err == unix.EINVAL || err == unix.ENOSYS || err == unix.ENOTSUP {
		return errUnsupported
	}
	return err
}
