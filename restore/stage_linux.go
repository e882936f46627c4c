package restore

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openNameless makes a file in dir's file system that has no name: when nobody has it open any more, it is gone.
func openNameless(dir string) (*os.File, error) {
	return os.OpenFile(dir, unix.O_TMPFILE|os.O_RDWR, fileMode)
}

// giveName makes a nameless file appear at path, which must not exist.
func giveName(f *os.File, path string) error {
	// The descriptor itself can only be linked with CAP_DAC_READ_SEARCH; its entry in /proc by everyone, where there is a /proc.
	err := unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if errors.Is(err, unix.ENOENT) {
		err = unix.Linkat(int(f.Fd()), "", unix.AT_FDCWD, path, unix.AT_EMPTY_PATH)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: "a nameless file", New: path, Err: err}
	}
	return nil
}

// lockFolder marks a folder as in use by this process, and reports whether nobody else had. File systems without locks say
// that somebody had.
func lockFolder(d *os.File) bool {
	return unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}

// moveNew renames from to to, which must not exist, in one step.
func moveNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return moveUnguarded(from, to) // a file system that cannot promise it, such as NFS
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// freeBytes is the room for an ordinary user in the file system of path.
func freeBytes(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return int64(st.Bavail) * st.Bsize, nil
}
