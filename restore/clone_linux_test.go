package restore

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestRoomIsSetAside where it can be: the file's end stays where it is, and more than any disk has is not taken for a part of it.
func TestRoomIsSetAside(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct{ asked, most, least int64 }{{1 << 60, 0, 0}, {1 << 20, 2 << 20, 1 << 20}} {
		reserve(f, span{0, c.asked})
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		room := st.Sys().(*syscall.Stat_t).Blocks * 512
		if st.Size() != 0 || room > c.most || room < c.least {
			t.Errorf("after %d bytes were asked for, the file has %d, and room for %d", c.asked, st.Size(), room)
		}
	}
}
