// Package peak runs a command and tells how long it took and how much memory each process of its tree held at most.
//
// Memory is anonymous memory (RssAnon in /proc/PID/status, Linux): pages of mapped files are the kernel's cache, which it can
// drop at any time, and are left out. It is sampled, so a shorter peak than the sampling interval can be missed.
package peak

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const every = 10 * time.Millisecond

// Usage is what one run of a command took. CPU is user and system time of the whole tree that was waited for. Anon is the
// highest anonymous memory in bytes of each kind of process: "main", and a child by its role or program.
type Usage struct {
	Wall, CPU time.Duration
	Anon      map[string]int64
}

// Most is the process kind with the highest peak.
func (u Usage) Most() (kind string, bytes int64) {
	for k, b := range u.Anon {
		if b > bytes {
			kind, bytes = k, b
		}
	}
	return kind, bytes
}

// Run starts cmd and waits for its end. The error is cmd's own, with the end of its standard error if that was not set.
func Run(cmd *exec.Cmd) (Usage, error) {
	var said bytes.Buffer
	if cmd.Stderr == nil {
		cmd.Stderr = &said
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return Usage{}, err
	}
	u := Usage{Anon: map[string]int64{}}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			sample(u.Anon, cmd.Process.Pid, "main")
			select {
			case <-stop:
				return
			case <-time.After(every):
			}
		}
	})
	err := cmd.Wait()
	u.Wall = time.Since(began)
	close(stop)
	wg.Wait()
	u.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if err != nil {
		text := said.String()
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, text[max(0, len(text)-2000):])
	}
	return u, err
}

// sample adds the tree below pid to the peaks. A process that ends meanwhile is passed over.
func sample(peaks map[string]int64, pid int, kind string) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	if n, ok := anon(filepath.Join(dir, "status")); ok {
		peaks[kind] = max(peaks[kind], n)
	}
	lists, _ := filepath.Glob(filepath.Join(dir, "task", "*", "children"))
	for _, list := range lists {
		data, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(data)) {
			if childPID, err := strconv.Atoi(field); err == nil {
				sample(peaks, childPID, kindOf(childPID))
			}
		}
	}
}

// anon reads RssAnon, which the kernel gives in kB.
func anon(status string) (int64, bool) {
	data, err := os.ReadFile(status)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kB, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kB << 10, err == nil
		}
	}
	return 0, false
}

// kindOf is a child's role, where it is ours executed again, or else its program's name.
func kindOf(pid int) string {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	args := strings.Split(string(data), "\x00")
	if err != nil || args[0] == "" {
		return "child"
	}
	if len(args) > 1 {
		if _, role, ok := strings.Cut(args[1], "lifeboat-child:"); ok {
			return role
		}
	}
	return filepath.Base(args[0])
}
