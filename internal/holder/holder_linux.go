// Package holder finds the process that works on a data directory of etcd. It only looks: it never waits for a lock.
package holder

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Of names a process that works on the data directory dir: one that has files open beneath it, or an etcd that was
// told to use it. It sees what this user may see, and nothing on other machines; "" means that nothing was found.
func Of(dir string) string {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return ""
	}
	self, real := strconv.Itoa(os.Getpid()), resolved(dir)
	for _, p := range procs {
		if pid := p.Name(); pid != self && strings.Trim(pid, "0123456789") == "" {
			if toldToUse(pid, dir) || hasOpen(pid, dir) || real != dir && (toldToUse(pid, real) || hasOpen(pid, real)) {
				return fmt.Sprintf("process %s (%s)", pid, commandName(pid))
			}
		}
	}
	return ""
}

// resolved follows the links on the way to a path, as far as it exists.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if up := filepath.Dir(path); up != path {
		return filepath.Join(resolved(up), filepath.Base(path))
	}
	return path
}

// toldToUse looks at the arguments and, where it may, the environment of etcd processes.
func toldToUse(pid, dir string) bool {
	cmdline, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
	if err != nil {
		return false
	}
	args := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
	if filepath.Base(args[0]) != "etcd" {
		return false
	}
	cwd, _ := os.Readlink(filepath.Join("/proc", pid, "cwd")) // only needed for relative paths
	same := func(path string) bool {
		if !filepath.IsAbs(path) {
			path = filepath.Join(cwd, path)
		}
		return filepath.Clean(path) == dir
	}
	for i, a := range args {
		if !strings.HasPrefix(a, "-") {
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if !given && i+1 < len(args) {
			value = args[i+1]
		}
		if name == "data-dir" {
			return value != "" && same(value)
		}
	}
	env, _ := os.ReadFile(filepath.Join("/proc", pid, "environ")) // another user's is not ours to read
	for _, v := range bytes.Split(env, []byte{0}) {
		if value, ok := strings.CutPrefix(string(v), "ETCD_DATA_DIR="); ok {
			return value != "" && same(value)
		}
	}
	return false
}

// hasOpen looks for open files of a data directory. Those of removed ones are seen as well.
func hasOpen(pid, dir string) bool {
	fds, err := os.ReadDir(filepath.Join("/proc", pid, "fd"))
	if err != nil {
		return false
	}
	for _, fd := range fds {
		target, err := os.Readlink(filepath.Join("/proc", pid, "fd", fd.Name()))
		if err == nil && strings.HasPrefix(target, filepath.Join(dir, "member")+"/") {
			return true
		}
	}
	return false
}

func commandName(pid string) string {
	name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(name))
}

// LockShared reports whether nobody has the database f open for writing who locks it as bbolt does. If so, nobody can until f is closed.
func LockShared(f *os.File) bool {
	return !errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
