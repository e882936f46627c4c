package snapshot

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openUnnamed opens a file that never has a name, where the file system can do that.
func openUnnamed(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), filepath.Join(dir, "(spool)")), nil
	}
	// What NFS, overlays on old kernels and others say of O_TMPFILE. ENOENT and the like would only come again.
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) {
		return openNamed(dir)
	}
	return nil, err
}

// writeBack starts writing a range and waits for the one before it, so that never more than two steps are dirty.
func writeBack(f *os.File, off, n int64) error {
	if err := unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE); err != nil {
		return ignoreUnsupported(err)
	}
	if off == 0 {
		return nil
	}
	before := min(off, n)
	return ignoreUnsupported(unix.SyncFileRange(int(f.Fd()), off-before, before, unix.SYNC_FILE_RANGE_WAIT_BEFORE))
}

// ignoreUnsupported lets a hint be a hint: tmpfs and others do not know it.
func ignoreUnsupported(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ESPIPE) {
		return nil
	}
	return err
}
