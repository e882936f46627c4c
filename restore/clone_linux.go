package restore

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reflink makes dst share every block of src, where the file system can.
func reflink(dst, src *os.File) error {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd()))
}

// copyRange copies within the kernel, or through our own memory where it cannot.
func copyRange(dst, src *os.File, s span) error {
	for s.Len > 0 {
		from, to := s.Off, s.Off
		n, err := unix.CopyFileRange(int(src.Fd()), &from, int(dst.Fd()), &to, int(s.Len), 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EXDEV), errors.Is(err, unix.EOPNOTSUPP), err == nil && n == 0:
			return copyThroughMemory(dst, src, s)
		case err != nil:
			return &os.PathError{Op: "copy_file_range", Path: dst.Name(), Err: err}
		}
		s.Off, s.Len = s.Off+int64(n), s.Len-int64(n)
	}
	return nil
}
