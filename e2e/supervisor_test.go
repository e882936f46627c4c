package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// A supervisor runs etcd on one node as kubelet or systemd does: what is wanted it starts, again and again if need be, and what is wanted no more it
// stops. The folder of the node tells others how far it is: the file "runs" is there while etcd does.
type supervisor struct {
	dir    string // of the node
	wanted func() (generation string, cmd *exec.Cmd, err error)
}

// supervise keeps to what is wanted until the test ends. A generation other than the one before means another start; "" means none.
func supervise(t *testing.T, s supervisor) {
	t.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	log, err := os.Create(filepath.Join(s.dir, "etcd.log"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(stopped)
		s.loop(t, stop, log)
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
		if t.Failed() {
			tail, _ := os.ReadFile(log.Name())
			t.Logf("%s: %s", filepath.Base(s.dir), tail[max(0, len(tail)-3000):])
		}
		_ = log.Close()
	})
}

func (s supervisor) loop(t *testing.T, stop <-chan struct{}, log *os.File) {
	p := &supervised{runs: filepath.Join(s.dir, "runs"), log: log}
	defer p.end()
	for pause := time.Duration(0); ; pause = 100 * time.Millisecond {
		select {
		case <-stop:
			return
		case <-time.After(pause):
		}
		generation, cmd, err := s.wanted()
		if err != nil {
			t.Errorf("%s: %v", s.dir, err)
			return
		}
		if p.ended() {
			p.end()
			select {
			case <-stop:
				return
			case <-time.After(time.Second): // before it is tried again
			}
			continue
		}
		if generation != p.generation {
			p.end()
		}
		if generation != "" && p.cmd == nil {
			if err := p.start(generation, cmd); err != nil {
				t.Errorf("%s: %v", s.dir, err)
				return
			}
		}
	}
}

// supervised is the process that a supervisor runs, if it runs one.
type supervised struct {
	runs       string
	log        *os.File
	generation string
	cmd        *exec.Cmd
	exited     chan struct{}
}

func (p *supervised) start(generation string, cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	p.generation, p.cmd, p.exited = generation, cmd, exited
	return os.WriteFile(p.runs, []byte(generation), 0o600)
}

// ended tells whether it ended by itself.
func (p *supervised) ended() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

func (p *supervised) end() {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(os.Interrupt)
		select {
		case <-p.exited:
		case <-time.After(20 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
	}
	p.generation, p.cmd = "", nil
	_ = os.Remove(p.runs)
}

// kubelet wants what etcd.yaml in the folder for static pods says, as long as it is there.
func kubelet(node, etcd string) supervisor {
	return supervisor{node, func() (string, *exec.Cmd, error) {
		text, err := os.ReadFile(filepath.Join(node, "kubernetes/manifests/etcd.yaml"))
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil, nil
		}
		if err != nil {
			return "", nil, err
		}
		var pod struct {
			Spec struct {
				Containers []struct{ Command []string }
			}
		}
		if err := yaml.Unmarshal(text, &pod); err != nil {
			return "", nil, err
		}
		if len(pod.Spec.Containers) == 0 {
			return "", nil, fmt.Errorf("%s/kubernetes/manifests/etcd.yaml has no container", node)
		}
		return string(text), exec.Command(etcd, pod.Spec.Containers[0].Command[1:]...), nil
	}}
}

// crictl lists a container as long as it runs. One whose manifest is gone is waited for, as the person does who asks again until none is listed.
const crictl = `#!/bin/sh
while [ -e 'NODE/runs' ] && [ ! -e 'NODE/kubernetes/manifests/etcd.yaml' ]; do sleep 0.1; done
`

// systemd wants what the environment file says, from the moment it is told to start or restart.
func systemd(node, etcd string) supervisor {
	return supervisor{node, func() (string, *exec.Cmd, error) {
		generation, err := os.ReadFile(filepath.Join(node, "wanted"))
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil, nil
		}
		if err != nil {
			return "", nil, err
		}
		text, err := os.ReadFile(filepath.Join(node, "default"))
		if err != nil {
			return "", nil, err
		}
		cmd := exec.Command(etcd)
		cmd.Env = append(os.Environ(), strings.Fields(strings.ReplaceAll(string(text), `"`, ""))...)
		return string(generation), cmd, nil
	}}
}

// systemctl has a start or restart done, and returns when etcd has been started.
const systemctl = `#!/bin/sh
case "$1 $2" in "start etcd"|"restart etcd") ;; *) exit 1 ;; esac
next=$(date +%s%N)
echo "$next" > 'NODE/next' && mv 'NODE/next' 'NODE/wanted'
until [ "$(cat 'NODE/runs' 2>/dev/null)" = "$next" ]; do sleep 0.1; done
`
