//go:build node

package restore

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// TestNodeAFullDiskLeavesNothing restores onto disks of growing size, told to ignore that they are too small: whatever cannot be
// written, nothing stays, until the first size that does.
func TestNodeAFullDiskLeavesNothing(t *testing.T) {
	s := oldBackup(t)
	full := 0
	for _, named := range []bool{false, true} {
		for _, mib := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 32, 63, 64, 65, 66, 67, 68, 72, 96, 128, 136, 160, 200, 256} {
			t.Run(fmt.Sprintf("%d MiB, named %v", mib, named), func(t *testing.T) {
				disk := t.TempDir()
				if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
					t.Fatal(err)
				}
				defer func() {
					runtime.GC() // closes what etcd's wal package leaves open when it cannot write
					time.Sleep(100 * time.Millisecond)
					if err := syscall.Unmount(disk, 0); err != nil {
						t.Errorf("something still holds the disk: %v", err)
					}
				}()
				p := s.plan(filepath.Join(disk, "out"))
				var refusal *Refusal
				if err := p.Check(t.Context(), taken, s.ids); !errors.As(err, &refusal) || refusal.Override != "--ignore-free-space" {
					t.Errorf("a disk of %d MiB is not refused: %v", mib, err)
				}
				p.IgnoreFreeSpace = true
				d := s.deps()
				d.named = named
				_, err := Run(t.Context(), p, d)
				switch {
				case err == nil:
					return
				case !errors.Is(err, syscall.ENOSPC):
					t.Errorf("got %v, want no space left", err)
				}
				full++
				if left := tree(t, disk); left != "" {
					t.Errorf("it leaves:\n%s", left)
				}
			})
		}
	}
	if full < 20 {
		t.Errorf("only %d restores ran out of room", full)
	}
}
