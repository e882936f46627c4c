package disk_test

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
	"github.com/lifeboat-dr/lifeboat/internal/disk/disktest"
)

// TestWhatLiesAroundAPageIsReadWithIt: a mapping that asks for single pages gets them, until ReadAround. Where files cannot leave memory, there is nothing to see.
func TestWhatLiesAroundAPageIsReadWithIt(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	f := newFile(t)
	if _, err := f.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(mapped) }()
	at := uintptr(unsafe.Pointer(&mapped[0]))
	if err := unix.Madvise(mapped, unix.MADV_RANDOM); err != nil {
		t.Fatal(err)
	}
	touched := func() (resident int) {
		disk.Uncache(f, 0, 0)
		if mapped[size/2] != 0 {
			t.Error("the file holds something else than was written")
		}
		resident = disktest.Resident(t, mapped) / os.Getpagesize()
		// What this process has mapped does not leave the page cache.
		if err := unix.Madvise(mapped, unix.MADV_DONTNEED); err != nil {
			t.Fatal(err)
		}
		return resident
	}
	alone := touched()
	disk.ReadAround(at, size)
	if around := touched(); (around <= alone || around*os.Getpagesize() < 8*4096) && alone < size/os.Getpagesize() {
		t.Errorf("%d pages are in memory once one was touched, and %d before", around, alone)
	}
	t.Logf("%d pages with one, %d around it", alone, touched())
}
