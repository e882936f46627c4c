package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	mostTouched = 24 << 30  // bytes; the machine may have any amount
	leftAlone   = 512 << 20 // bytes
)

// touch takes the machine's free memory and gives it back. A virtual machine may have given to its host what was free for some seconds, and then
// whoever takes it again pays for that, up to ten times what writing a file costs else: which way it hits would be chance. What is cached stays cached.
func touch() (err error) {
	free, err := memory("MemFree")
	if err != nil {
		return err
	}
	n := min(free-leftAlone, mostTouched)
	if n <= 0 {
		return nil
	}
	pages, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return fmt.Errorf("free memory cannot be touched: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Munmap(pages)) }()
	_ = unix.Madvise(pages, unix.MADV_HUGEPAGE) // which is faster, where there is such a thing
	for i := 0; i < len(pages); i += os.Getpagesize() {
		pages[i] = 1
	}
	return nil
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
