package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const (
	reserve = unix.FALLOC_FL_KEEP_SIZE
	punch   = unix.FALLOC_FL_KEEP_SIZE | unix.FALLOC_FL_PUNCH_HOLE
)

func allocate(f *os.File, mode uint32, off, n int64) error {
	if n == 0 {
		return nil // the call takes no empty range
	}
	for {
		err := unix.Fallocate(int(f.Fd()), mode, off, n)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil, errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return nil
		}
		return &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
	}
}
