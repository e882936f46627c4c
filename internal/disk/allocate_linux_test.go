package disk_test

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
)

// TestRoomIsSetAsideAndGivenBack where it can be: the file's end stays where it is, and more than any disk has is not taken for a part of it.
func TestRoomIsSetAsideAndGivenBack(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	holds := func(after string, size, least, most int64) {
		t.Helper()
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if room := st.Sys().(*syscall.Stat_t).Blocks * 512; st.Size() != size || room < least || room > most {
			t.Errorf("after %s the file has %d bytes, and room for %d", after, st.Size(), room)
		}
	}
	const mib = 1 << 20
	if err := disk.Reserve(f, 0, 1<<60); !errors.Is(err, syscall.EFBIG) && !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("an exbibyte is set aside: %v", err)
	}
	holds("too much was asked for", 0, 0, 0)
	if err := errors.Join(disk.Reserve(f, 0, mib), disk.Reserve(f, 0, 0)); err != nil {
		t.Fatal(err)
	}
	holds("a MiB was set aside", 0, mib, 2*mib)
	if _, err := f.Write(bytes.Repeat([]byte{1}, mib)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(disk.Punch(f, 0, mib/2), disk.Punch(f, 0, 0)); err != nil {
		t.Fatal(err)
	}
	holds("a hole was made of half of it", mib, mib/2, mib*3/4)
}
