package disk_test

import (
	"bytes"
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
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		t.Fatal(err)
	}
	most, rest := 24<<20, 0
	if fs.Type == unix.TMPFS_MAGIC { // whose files are nowhere but in memory
		most, rest = math.MaxInt, math.MaxInt
	}
	const size = 40<<20 + 4711
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(content)

	p := disk.NewPassing(f)
	for off := 0; off < size; off += disk.WritePart {
		if _, err := p.Write(content[off:min(off+disk.WritePart, size)]); err != nil {
			t.Fatal(err)
		}
	}
	if in := cached(t, f); in == 0 || in > most {
		t.Errorf("before the end %d bytes of %d are in memory", in, size)
	}
	if err := p.Sync(); err != nil {
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
