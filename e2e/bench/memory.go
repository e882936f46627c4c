package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	leftAlone  = 512 << 20 // bytes
	largeBlock = 2 << 20   // bytes of free memory that lie together; Linux tells a host of no smaller ones (page_reporting_order)
)

// footing is what every way begins and works on alike. The zero value holds nothing.
type footing struct{ pins []byte }

// level waits until what others have written is on the disk, and sees to it that free memory is memory that the machine has. Linux tells the host of a
// virtual machine of free memory in large blocks, the host takes it away after seconds, and whoever takes it again waits for it, in the middle of what is
// measured (docs/benchmarks.md). So all free memory is taken once, and given back but for one page of each large block: what is left are smaller ones.
func (f *footing) level(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, "sync").CombinedOutput(); err != nil {
		return fmt.Errorf("sync: %w\n%s", err, out)
	}
	if _, err := os.Stat("/sys/module/page_reporting"); err != nil {
		return nil // this kernel tells nobody
	}
	large, err := freeInLargeBlocks()
	if err != nil || large <= leftAlone {
		return err
	}
	before := f.pins
	if err := f.pin(ctx); err != nil {
		return err
	}
	if before != nil {
		return unix.Munmap(before)
	}
	return nil
}

// pin replaces what is held.
func (f *footing) pin(ctx context.Context) error {
	n, err := free()
	if err != nil {
		return err
	}
	if n = (n - leftAlone) / largeBlock * largeBlock; n <= 0 {
		f.pins = nil
		return nil
	}
	if f.pins, err = unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE); err != nil {
		return fmt.Errorf("take %d MiB of free memory: %w", n>>20, err)
	}
	_ = unix.Madvise(f.pins, unix.MADV_NOHUGEPAGE) // an error says that there is no such thing
	page := os.Getpagesize()
	for i := 0; i < len(f.pins); i += page {
		if f.pins[i] = 1; i%largeBlock == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	for i := 0; i < len(f.pins); i += largeBlock {
		if err := unix.Madvise(f.pins[i+page:i+largeBlock], unix.MADV_DONTNEED); err != nil {
			return fmt.Errorf("give memory back: %w", err)
		}
	}
	large, err := freeInLargeBlocks()
	progress("free memory of %d MiB is held in small blocks, %d MiB are not", n>>20, large>>20)
	return err
}

// close gives back what is held.
func (f *footing) close() error {
	if f.pins == nil {
		return nil
	}
	return unix.Munmap(f.pins)
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
