// Package disktest tells tests what the page cache holds of a file, on Linux.
package disktest

import (
	"errors"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
)

// Heeds tells whether a file is seen in the page cache, and leaves it when what [disk.Passage] does has been done to it: not on tmpfs, whose files are nowhere but
// in memory, nor on some file systems that lie on others. The file is empty before and after.
func Heeds(t *testing.T, f *os.File) bool {
	t.Helper()
	const size = 1 << 20
	if _, err := f.WriteAt(make([]byte, size), 0); err != nil {
		t.Fatal(err)
	}
	before := Cached(t, f)
	err := disk.BeginWriting(f, 0, size)
	if err == nil {
		err = disk.AwaitWriting(f, 0, size)
	}
	disk.Uncache(f, 0, size)
	after := Cached(t, f)
	if err := errors.Join(err, f.Truncate(0)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	return before == size && after == 0
}

// Cached is how many bytes of a file the page cache holds, in whole pages.
func Cached(t *testing.T, f *os.File) int {
	t.Helper()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	return Resident(t, m)
}

// Resident is how many bytes of a mapped file the page cache holds, in whole pages.
func Resident(t *testing.T, mapped []byte) int {
	t.Helper()
	page := os.Getpagesize()
	in := make([]byte, (len(mapped)+page-1)/page)
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mapped[0])), uintptr(len(mapped)), uintptr(unsafe.Pointer(&in[0]))); errno != 0 {
		t.Fatal(errno)
	}
	n := 0
	for _, b := range in {
		n += int(b&1) * page
	}
	return n
}
