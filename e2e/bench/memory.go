package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	leftAlone  = 512 << 20 // bytes
	tolerated  = 1 << 30   // bytes of free memory in large blocks
	largeBlock = 2 << 20   // bytes of free memory that lie together; Linux tells a host of no smaller ones (page_reporting_order)
)

// footing is what every way begins and works on alike. The zero value holds nothing.
type footing struct {
	pins [][]byte // mappings of which one page in every largeBlock is in memory
}

// level waits until what others have written is on the disk, and sees to it that free memory is memory that the machine has. Linux tells the host of a
// virtual machine of free memory in large blocks, the host takes it away after seconds, and whoever takes it again waits for it, in the middle of what is
// measured (docs/benchmarks.md). So all free memory is taken once, and given back but for one page of each large block: what is left are smaller ones.
func (f *footing) level(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, "sync").CombinedOutput(); err != nil {
		return fmt.Errorf("sync: %w\n%s", err, out)
	}
	if !reportsFreeMemory() {
		return nil
	}
	large, err := freeInLargeBlocks()
	if err != nil || large <= tolerated {
		return err
	}
	n, err := free()
	if err != nil {
		return err
	}
	if n < large {
		progress("free memory is left as it is: of %d MiB in large blocks %d MiB may be taken here", large>>20, max(n, 0)>>20)
		return nil
	}
	pins, err := pin(ctx, (n-leftAlone)/largeBlock*largeBlock)
	if errors.Is(err, unix.ENOMEM) { // as where memory may not be promised that is not there
		progress("free memory is left as it is: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	f.pins = append(f.pins, pins) // those from before stay: in their blocks a page may not have been among the new ones
	if large, err = freeInLargeBlocks(); err == nil {
		progress("free memory of %d MiB is held in small blocks, %d MiB are not", n>>20, large>>20)
	}
	return err
}

// pin takes n bytes of memory and gives back all but one page in every largeBlock.
func pin(ctx context.Context, n int64) (_ []byte, err error) {
	pins, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("take %d MiB of free memory: %w", n>>20, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unix.Munmap(pins))
		}
	}()
	_ = unix.Madvise(pins, unix.MADV_NOHUGEPAGE) // an error says that there is no such thing
	page := os.Getpagesize()
	for i := 0; i < len(pins); i += page {
		if i%largeBlock == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		pins[i] = 1
	}
	for i := 0; i < len(pins); i += largeBlock {
		if err := unix.Madvise(pins[i+page:i+largeBlock], unix.MADV_DONTNEED); err != nil {
			return nil, fmt.Errorf("give memory back: %w", err)
		}
	}
	return pins, nil
}

// reportsFreeMemory tells whether a host has asked to be told of free memory: bit 5 of what was agreed on with its balloon (VIRTIO_BALLOON_F_REPORTING).
func reportsFreeMemory() bool {
	balloons, _ := filepath.Glob("/sys/bus/virtio/drivers/virtio_balloon/virtio*/features") // the pattern is a good one
	return slices.ContainsFunc(balloons, func(file string) bool {
		agreed, err := os.ReadFile(file)
		return err == nil && len(agreed) > 5 && agreed[5] == '1'
	})
}

// close gives back what is held.
func (f *footing) close() (err error) {
	for _, pins := range f.pins {
		err = errors.Join(err, unix.Munmap(pins))
	}
	f.pins = nil
	return err
}

// freeInLargeBlocks is how many bytes of free memory lie in blocks of largeBlock or more.
func freeInLargeBlocks() (int64, error) {
	text, err := os.ReadFile("/proc/buddyinfo")
	if err != nil {
		return 0, err
	}
	return parseBuddyInfo(string(text), int64(os.Getpagesize()))
}

// parseBuddyInfo reads how many free blocks each zone has of one page, of two, of four and so on.
func parseBuddyInfo(text string, page int64) (bytes int64, err error) {
	for line := range strings.Lines(text) {
		_, counts, ok := strings.Cut(line, " zone ")
		fields := strings.Fields(counts)
		if !ok || len(fields) < 2 {
			return 0, fmt.Errorf("/proc/buddyinfo has a line %q", line)
		}
		for order, count := range fields[1:] {
			n, err := strconv.ParseInt(count, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/buddyinfo: %w", err)
			}
			if block := page << order; block >= largeBlock {
				bytes += n * block
			}
		}
	}
	return bytes, nil
}

// free is how many bytes can be had without taking them from anything: the machine's, or what its control group, if it has one of its own, leaves.
func free() (int64, error) {
	n, err := memory("MemFree")
	if err != nil {
		return 0, err
	}
	for _, group := range [][2]string{{"memory.max", "memory.current"}, {"memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"}} {
		limit, unlimited := number("/sys/fs/cgroup/" + group[0])
		used, unknown := number("/sys/fs/cgroup/" + group[1])
		if unlimited == nil && unknown == nil {
			n = min(n, limit-used)
		}
	}
	return n, nil
}

func number(file string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// memory is a line of /proc/meminfo in bytes.
func memory(name string) (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	var kB int64
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, name+": %d kB", &kB); err == nil {
			return kB << 10, nil
		}
	}
	return 0, fmt.Errorf("/proc/meminfo does not tell %s", name)
}
