// Package peak runs a command and tells how long it took, how much it wrote, and how much memory each process of its tree held at most.
//
// Memory is anonymous memory (RssAnon in /proc/PID/status, Linux). Pages of mapped files (RssFile) are told apart: they are the
// kernel's cache, which it can drop at any time. Both are sampled, so a shorter peak than the sampling interval can be missed.
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

// Usage is what one run of a command took. CPU is user and system time of the whole tree that was waited for. Anon and Mapped are
// the highest anonymous and mapped memory in bytes of each kind of process: "main", and a child by its role or program. Together is the highest
// anonymous memory in bytes of all of them at the same time. Written is how many bytes of files the tree has made dirty, in whole pages, whether
// they reached the disk or were removed before (write_bytes in /proc/PID/io, Linux; 0 elsewhere); nothing sent over a connection or a pipe is in it.
type Usage struct {
	Wall, CPU         time.Duration
	Anon, Mapped      map[string]int64
	Together, Written int64
}

// Most is the process kind with the highest peak of anonymous memory.
func (u Usage) Most() (kind string, bytes int64) {
	for k, b := range u.Anon {
		if b > bytes {
			kind, bytes = k, b
		}
	}
	return kind, bytes
}

// Add counts a run that came after this one: times add up, and of each peak the higher counts.
func (u *Usage) Add(next Usage) {
	u.Wall += next.Wall
	u.CPU += next.CPU
	u.Written += next.Written
	u.Together = max(u.Together, next.Together)
	for _, m := range []struct {
		sum  *map[string]int64
		more map[string]int64
	}{{&u.Anon, next.Anon}, {&u.Mapped, next.Mapped}} {
		if *m.sum == nil {
			*m.sum = map[string]int64{}
		}
		for kind, n := range m.more {
			(*m.sum)[kind] = max((*m.sum)[kind], n)
		}
	}
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
	u := Usage{Anon: map[string]int64{}, Mapped: map[string]int64{}}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		known := &family{}
		for {
			known.refresh()
			u.Together = max(u.Together, u.sample(known, cmd.Process.Pid, "main", ""))
			select {
			case <-stop:
				return
			case <-time.After(every):
			}
		}
	})
	wrote := written(cmd.Process.Pid)
	err := cmd.Wait()
	u.Wall = time.Since(began)
	close(stop)
	wg.Wait()
	u.Written = wrote
	u.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if err != nil {
		text := said.String()
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, text[max(0, len(text)-2000):])
	}
	return u, err
}

// sample adds the tree below pid to the peaks, and tells its anonymous memory in all. A process that has ended, which shows no command line, is passed over. So is one that was
// forked but has not become another program yet: it shows its parent's memory and command line.
func (u Usage) sample(known *family, pid int, kind, parent string) (all int64) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	data, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil || len(data) == 0 {
		return 0
	}
	commandLine := string(data)
	if kind == "" {
		kind = kindOf(commandLine)
	}
	if commandLine != parent {
		anon, mapped := memory(filepath.Join(dir, "status"))
		u.Anon[kind] = max(u.Anon[kind], anon)
		u.Mapped[kind] = max(u.Mapped[kind], mapped)
		all = anon
	}
	for _, child := range known.children(pid) {
		all += u.sample(known, child, "", commandLine)
	}
	return all
}

// A family remembers who is whose child. To look for children takes ten times as long as to look at them, of what is being measured; and there are new ones
// only after the system has given out a new number.
type family struct {
	newest string
	of     map[int][]int
}

// refresh forgets everything if any process or thread has been begun since the last time, or if that cannot be told.
func (f *family) refresh() {
	load, _ := os.ReadFile("/proc/loadavg") // which ends with the number that was given out last
	fields := strings.Fields(string(load))
	if len(fields) == 0 || fields[len(fields)-1] != f.newest {
		f.of = map[int][]int{}
	}
	if len(fields) > 0 {
		f.newest = fields[len(fields)-1]
	}
}

func (f *family) children(pid int) []int {
	if all, known := f.of[pid]; known {
		return all
	}
	var all []int
	lists, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	for _, list := range lists {
		data, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(data)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, child)
			}
		}
	}
	f.of[pid] = all
	return all
}

// memory reads RssAnon and RssFile, which the kernel gives in kB; zero of a process that has ended.
func memory(status string) (anon, mapped int64) {
	data, err := os.ReadFile(status)
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(data)) {
		name, rest, _ := strings.Cut(line, ":")
		kB, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch name {
		case "RssAnon":
			anon = kB << 10
		case "RssFile":
			mapped = kB << 10
		}
	}
	return anon, mapped
}

// kindOf is a child's role, where it is ours executed again, or else its program's name.
func kindOf(commandLine string) string {
	args := strings.Split(commandLine, "\x00")
	if len(args) > 1 {
		if _, role, ok := strings.Cut(args[1], "lifeboat-child:"); ok {
			return role
		}
	}
	return filepath.Base(args[0])
}
