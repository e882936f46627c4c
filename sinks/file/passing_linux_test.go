package file

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
)

// TestWhatPassesLeavesTheMemory while it is written all but the last steps, and in the end all of it; and it is what was written.
func TestWhatPassesLeavesTheMemory(t *testing.T) {
	t.Parallel()
	f := opened(t, os.O_RDWR)
	most, rest := 24<<20, 0
	if !heeds(t, f) { // as tmpfs, whose files are nowhere but in memory
		most, rest = math.MaxInt, math.MaxInt
	}
	const size = 40<<20 + 4711
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(content)

	p := &passing{file: f}
	for off := 0; off < size; off += disk.WritePart {
		if _, err := p.Write(content[off:min(off+disk.WritePart, size)]); err != nil {
			t.Fatal(err)
		}
	}
	if in := cached(t, f); in == 0 || in > most {
		t.Errorf("before the end %d bytes of %d are in memory", in, size)
	}
	if err := p.sync(); err != nil {
		t.Fatal(err)
	}
	if in := cached(t, f); in > rest {
		t.Errorf("after the end %d bytes are in memory", in)
	}
	if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes come back, and they are not those that were written (%v)", len(got), err)
	}
	if in := cached(t, f); in < size {
		t.Errorf("after it was read %d bytes are in memory: what was counted before tells nothing", in)
	}
}

// heeds tells whether the file system lets go of what is on the disk, and leaves the file empty.
func heeds(t *testing.T, f *os.File) bool {
	t.Helper()
	_, err := f.Write(make([]byte, 1<<20))
	if err := errors.Join(err, f.Sync()); err != nil {
		t.Fatal(err)
	}
	disk.Uncache(f, 0, 0)
	in := cached(t, f)
	_, err = f.Seek(0, io.SeekStart)
	if err := errors.Join(err, f.Truncate(0)); err != nil {
		t.Fatal(err)
	}
	return in == 0
}

// TestAFailedWriteIsNotForgotten by the sync at its end, which has nothing to complain of itself: the system may tell of a failure once.
func TestAFailedWriteIsNotForgotten(t *testing.T) {
	t.Parallel()
	f := opened(t, os.O_RDONLY)
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	p := &passing{file: f}
	if _, err := p.Write([]byte("more")); !errors.Is(err, unix.EBADF) {
		t.Fatalf("a file that was opened for reading takes more: %v", err)
	}
	if err := p.sync(); !errors.Is(err, unix.EBADF) {
		t.Errorf("a sync after a failure says %v", err)
	}
}

// opened is a new file.
func opened(t *testing.T, how int) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "file"), how|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// cached is how many bytes of a file the page cache holds.
func cached(t *testing.T, f *os.File) int {
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
	page := os.Getpagesize()
	in := make([]byte, (len(m)+page-1)/page)
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&in[0]))); errno != 0 {
		t.Fatal(errno)
	}
	n := 0
	for _, b := range in {
		n += int(b&1) * page
	}
	return n
}
