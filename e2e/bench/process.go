package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// cpuOfMachine is the processor time that everything together has taken: also what a host took meanwhile.
func cpuOfMachine() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	fields := strings.Fields(line) // cpu, user, nice, system, idle, iowait, irq, softirq, steal, in ticks; what follows is in user
	if len(fields) < 9 {
		return 0, fmt.Errorf("/proc/stat says %q", line)
	}
	var ticks time.Duration
	for i, field := range fields[1:9] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if i != 3 && i != 4 {
			ticks += time.Duration(n)
		}
	}
	return ticks * 10 * time.Millisecond, nil
}

// cpuOf is the processor time that a process has taken.
func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after) // from the third on: utime and stime are the 14th and 15th, in ticks of a hundredth of a second
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat says %q", pid, stat)
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, err
}
