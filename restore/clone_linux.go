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

// startWriteback has the kernel begin to write a range, so that the sync at the end finds little left to do. It is only a
// wish: the sync does not depend on it.
func startWriteback(f *os.File, s span) {
	_ = unix.SyncFileRange(int(f.Fd()), s.Off, s.Len, unix.SYNC_FILE_RANGE_WRITE)
}

// reserve has a file system that can set room aside for what is about to be written, which costs it less then. It is only a wish, too: the
// plan has looked whether there is room, one that compresses may need less, and writing tells what is wrong.
func reserve(f *os.File, s span) { _ = allocate(f, unix.FALLOC_FL_KEEP_SIZE, s) }

// punch makes a hole of a range. File systems that have no holes keep the dead pages, which does no harm.
func punch(f *os.File, s span) error {
	return allocate(f, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, s)
}

// allocate changes what room a file has, where the file system knows how to.
func allocate(f *os.File, mode uint32, s span) error {
	if s.Len == 0 {
		return nil // the call takes no empty range
	}
	for {
		err := unix.Fallocate(int(f.Fd()), mode, s.Off, s.Len)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil, errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return nil
		}
		return &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
	}
}
