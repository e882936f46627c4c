package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func beginWriting(f *os.File, off, n int64) error {
	return syncRange(f, off, n, unix.SYNC_FILE_RANGE_WRITE)
}

func awaitWriting(f *os.File, off, n int64) error {
	return syncRange(f, off, n, unix.SYNC_FILE_RANGE_WAIT_BEFORE)
}

func syncRange(f *os.File, off, n int64, what int) error {
	err := unix.SyncFileRange(int(f.Fd()), off, n, what)
	// What tmpfs and others say who do not know it.
	if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ESPIPE) {
		return nil
	}
	return &os.PathError{Op: "sync_file_range", Path: f.Name(), Err: err}
}

// uncache is a wish that no file system has to heed, and nothing depends on it.
func uncache(f *os.File, off, n int64) { _ = unix.Fadvise(int(f.Fd()), off, n, unix.FADV_DONTNEED) }
