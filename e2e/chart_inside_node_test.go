//go:build node

package e2e

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A gate stands before a server and lets nobody through until it is opened.
type gate struct {
	url  string
	open func()
}

func newGate(t *testing.T, host, server string) *gate {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan struct{})
	g := &gate{url: "http://" + l.Addr().String(), open: sync.OnceFunc(func() { close(opened) })}
	t.Cleanup(func() { _ = l.Close() })
	t.Cleanup(g.open)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				<-opened
				pass(client, to.Host)
			}()
		}
	}()
	return g
}

// pass connects a client with a server until either is done.
func pass(client net.Conn, server string) {
	defer client.Close()
	far, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer far.Close()
	go func() {
		_, _ = io.Copy(far, client)
		_ = far.Close()
	}()
	_, _ = io.Copy(client, far)
}

// insideOf looks at the process of a Job's container from the node, where nothing that is said about it counts.
func (c *chart) insideOf(t *testing.T, job string) {
	t.Helper()
	container := ""
	eventually(t, job+" runs", func() bool {
		for _, pod := range c.list(t, "pods", "--selector=job-name="+job) {
			for _, s := range pod.Status.ContainerStatuses {
				if s.State.Running != nil {
					container = strings.TrimPrefix(s.ContainerID, "containerd://")
				}
			}
		}
		return container != ""
	})
	restricted(t, processOf(t, container))
}

// processOf finds the process of a container by its control group.
func processOf(t *testing.T, container string) (dir string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(container)) { // others have ended by now
			return filepath.Dir(file)
		}
	}
	t.Fatalf("the container %s has no process", container)
	return ""
}

// restricted wants a process to have no power, and a root that nobody can write to.
func restricted(t *testing.T, process string) {
	t.Helper()
	status := readFile(t, filepath.Join(process, "status"))
	for _, want := range []string{
		`Name:\s+lifeboat`, `Uid:\s+65532\s+65532\s+65532\s+65532`, `Gid:\s+65532\s+65532\s+65532\s+65532`,
		`CapPrm:\s+0+`, `CapEff:\s+0+`, `CapBnd:\s+0+`, `CapAmb:\s+0+`, `NoNewPrivs:\s+1`, `Seccomp:\s+2`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(status) {
			t.Errorf("the process of the container is not so: %s\n%s", want, status)
		}
	}
	for _, dir := range []string{"/", "/tmp", "/etc", "/etc/lifeboat/config"} {
		at := filepath.Join(process, "root", dir)
		if _, err := os.Stat(at); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := os.WriteFile(filepath.Join(at, "written"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
			t.Errorf("root can write to %s of the container: %v", dir, err)
		}
	}
}
