package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	perDatabase = 5         // times its size is what no way takes more of for files: a plain copy, three members, and something to spare
	leftAlone   = 512 << 20 // bytes
)

// level lets every way that works on databases of that many bytes in all begin alike: what others have written is on the disk, and of the memory that
// is free, the machine has at that moment as much as the way may take.
func level(ctx context.Context, databases int64) error {
	if out, err := exec.CommandContext(ctx, "sync").CombinedOutput(); err != nil {
		return fmt.Errorf("sync: %w\n%s", err, out)
	}
	return touch(ctx, perDatabase*databases)
}

// touch takes free memory, that many bytes at most, and gives it back: Linux hands out first what came back last. A virtual machine may have given to its
// host what was free for some seconds, and whoever takes it again pays for that (docs/benchmarks.md).
func touch(ctx context.Context, most int64) (err error) {
	n, err := free()
	if err != nil {
		return err
	}
	if n -= leftAlone; n < most {
		progress("free memory of %d MiB is touched where %d MiB were wanted", max(n, 0)>>20, most>>20)
	}
	if n = min(n, most); n <= 0 {
		return nil
	}
	pages, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		progress("free memory is not touched: %v", err)
		return nil
	}
	defer func() { err = errors.Join(err, unix.Munmap(pages)) }()
	_ = unix.Madvise(pages, unix.MADV_HUGEPAGE) // which is faster, where there is such a thing
	for i := 0; i < len(pages) && ctx.Err() == nil; i += os.Getpagesize() {
		pages[i] = 1
	}
	return ctx.Err()
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
