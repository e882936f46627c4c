package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func beginWriting(f *os.File, off, n int64) error {
	err := syncRange(f, off, n, unix.SYNC_FILE_RANGE_WRITE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ESPIPE) {
		return errors.ErrUnsupported
	}
	return err
}

// awaitWriting forgives nothing: the error may be one that a file system has kept for whoever asks first.
func awaitWriting(f *os.File, off, n int64) error {
	return syncRange(f, off, n, unix.SYNC_FILE_RANGE_WAIT_BEFORE)
}

func syncRange(f *os.File, off, n int64, what int) error {
	if err := unix.SyncFileRange(int(f.Fd()), off, n, what); err != nil {
		return &os.PathError{Op: "sync_file_range", Path: f.Name(), Err: err}
	}
	return nil
}

func uncache(f *os.File, off, n int64) { _ = unix.Fadvise(int(f.Fd()), off, n, unix.FADV_DONTNEED) }
