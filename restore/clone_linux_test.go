package restore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRoomIsSetAsideWhereItCanBe: only that there is no room may end a restore before anything is written.
func TestRoomIsSetAsideWhereItCanBe(t *testing.T) {
	t.Parallel()
	device, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if err := reserve(device, span{0, 1 << 20}); err != nil {
		t.Errorf("a place that knows of no room: %v", err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := reserve(f, span{0, 1 << 60}); !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EFBIG) {
		t.Errorf("more room than any disk has: %v", err)
	}
	if err := reserve(f, span{0, 1 << 20}); err != nil {
		t.Errorf("room for a MiB: %v", err)
	}
	if st, err := f.Stat(); err != nil || st.Size() != 0 {
		t.Errorf("the file has %d bytes, %v", st.Size(), err)
	}
}
