package disk_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
	"github.com/lifeboat-dr/lifeboat/internal/disk/disktest"
)

// TestAPassageLeavesWhatIsUnderWayInMemory of several files together, and no more; and they hold what was written.
func TestAPassageLeavesWhatIsUnderWayInMemory(t *testing.T) {
	t.Parallel()
	const step, steps, ahead = 1 << 20, 16, 4
	files := []*os.File{newFile(t), newFile(t)}
	heeds := disktest.Heeds(t, files[0])
	content := make([]byte, steps*step)
	rand.NewChaCha8([32]byte{2}).Read(content)
	p := disk.Passage{Ahead: ahead * step}
	for off := int64(0); off < steps*step; off += step {
		for _, f := range files {
			if _, err := f.WriteAt(content[off:off+step], off); err != nil {
				t.Fatal(err)
			}
			if err := p.Pass(f, off, step); err != nil {
				t.Fatal(err)
			}
		}
	}
	if in := disktest.Cached(t, files[0]) + disktest.Cached(t, files[1]); heeds && (in == 0 || in > 2*ahead*step) {
		t.Errorf("of %d bytes %d are in memory, where %d may be under way", 2*steps*step, in, ahead*step)
	}
	for _, f := range files {
		if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes come back, and they are not those that were written (%v)", len(got), err)
		}
	}
}

// TestAPassageTellsWhatIsWrong with the file it begins to write, and with one that it waits for.
func TestAPassageTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	gone, there := newFile(t), newFile(t)
	if _, err := gone.Write([]byte("content")); err != nil {
		t.Fatal(err)
	}
	p := disk.Passage{Ahead: 4096}
	if err := p.Pass(gone, 0, 4096); err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Pass(there, 0, 4096); !errors.Is(err, unix.EBADF) {
		t.Errorf("a file that was closed meanwhile passes: %v", err)
	}
	if err := new(disk.Passage).Pass(gone, 0, 4096); !errors.Is(err, unix.EBADF) {
		t.Errorf("a file that is closed passes: %v", err)
	}
}

func newFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}
