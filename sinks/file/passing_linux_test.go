package file

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
	"github.com/lifeboat-dr/lifeboat/internal/disk/disktest"
)

// TestWhatPassesLeavesTheMemory while it is written all but the last steps, and in the end all of it; and it is what was written.
func TestWhatPassesLeavesTheMemory(t *testing.T) {
	t.Parallel()
	f := opened(t, os.O_RDWR)
	most, rest := 24<<20, 0
	if !disktest.Heeds(t, f) {
		most, rest = math.MaxInt, math.MaxInt
	}
	const size = 40<<20 + 4711
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(content)

	p := newPassing(f)
	for off := 0; off < size; off += disk.WritePart {
		if _, err := p.Write(content[off:min(off+disk.WritePart, size)]); err != nil {
			t.Fatal(err)
		}
	}
	if in := disktest.Cached(t, f); in == 0 || in > most {
		t.Errorf("before the end %d bytes of %d are in memory", in, size)
	}
	if err := p.sync(); err != nil {
		t.Fatal(err)
	}
	if in := disktest.Cached(t, f); in > rest {
		t.Errorf("after the end %d bytes are in memory", in)
	}
	if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes come back, and they are not those that were written (%v)", len(got), err)
	}
	if in := disktest.Cached(t, f); in < size {
		t.Errorf("after it was read %d bytes are in memory: what was counted before tells nothing", in)
	}
}

// TestAFailedWriteIsNotForgotten by the sync at its end, which has nothing to complain of itself: the system may tell of a failure once.
func TestAFailedWriteIsNotForgotten(t *testing.T) {
	t.Parallel()
	f := opened(t, os.O_RDONLY)
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	p := newPassing(f)
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
