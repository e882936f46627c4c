// Package node runs a whole Kubernetes cluster of one node, for tests and by hand, on a machine with no Docker and no registry: etcd with
// certificates in both directions, API server, controllers, scheduler, kubelet, and Debian's containerd and runc, none of which is
// installed. Pods are real containers. It is enclosed in namespaces of its own: it reaches nothing outside, not even the network,
// and leaves nothing behind.
//
// There is no kube-proxy and no DNS. Pods reach the node, each other, and the API server at its usual address, but no other Service.
package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

const (
	// Address is the node's, and where pods find what runs beside it.
	Address = "172.30.0.1"
	// Name is what Kubernetes calls the node.
	Name = "node1"
	// Etcd is the client URL of the cluster's etcd, a member of version 3.6, for pods too.
	Etcd = "https://" + Address + ":2379"
	// URL is the API server's. Its port is that of the Service kubernetes, whose address the node has as well, in place of a kube-proxy.
	URL = "https://" + Address + ":443"

	// Services is the range of the addresses of Services, which an API server on the same data has to be told.
	Services = "10.96.0.0/16"

	dir     = "/run/lab"
	service = "10.96.0.1"
	token   = "lab"
	pause   = "lab.local/pause:1"
	socket  = "/run/containerd/containerd.sock"
	// ready bounds how long a part may take until it serves, on a busy machine.
	ready = 3 * time.Minute
	poll  = 100 * time.Millisecond
)

// A Node is a running cluster of one node.
type Node struct {
	Kubeconfig string   // of an administrator
	Client     pki.Pair // certificate of a client of etcd
	CA         *pki.CA  // issues more of them
	Logs       string   // folder of what its parts say

	parts []*part
}

// A part is one of the processes.
type part struct {
	name, log string
	cmd       *exec.Cmd
	exit      <-chan error
}

// Start starts a node in a process that Enclose has started, and returns when it is ready for pods. It has no image but that of every pod's
// first container: see Import.
func Start(ctx context.Context) (*Node, error) {
	if !Enclosed() {
		return nil, errors.New("a node can only be started in namespaces of its own: see Enclose")
	}
	if err := settle(dir); err != nil {
		return nil, err
	}
	if err := bringUp(Address, service); err != nil {
		return nil, err
	}
	n := &Node{Kubeconfig: filepath.Join(dir, "kubeconfig"), Logs: filepath.Join(dir, "logs")}
	if err := os.MkdirAll(n.Logs, 0o755); err != nil {
		return nil, err
	}
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(err, n.Stop())
	}
	return n, nil
}

func (n *Node) start(ctx context.Context) error {
	if err := n.credentials(); err != nil {
		return err
	}
	debian, err := tools.Unpacked("node")
	if err != nil {
		return err
	}
	if err := configure(debian); err != nil {
		return err
	}
	for _, step := range []func(context.Context, string) error{n.startEtcd, n.startContainerd, n.startAPIServer, n.startControllers, n.startKubelet} {
		if err := step(ctx, debian); err != nil {
			return err
		}
	}
	return n.await(ctx, "the default service account", func(ctx context.Context) error {
		_, err := n.Kubectl(ctx, "get", "serviceaccount", "default")
		return err
	})
}

// run starts a part. It ends with this process, or by Stop.
func (n *Node) run(name, binary string, args ...string) error {
	p := &part{name: name, log: filepath.Join(n.Logs, name+".log"), cmd: exec.Command(binary, args...)}
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer log.Close() // the part has its own descriptor
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(os.Environ(), "HOME="+dir)
	if p.exit, err = child.Start(p.cmd); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	n.parts = append(n.parts, p)
	return nil
}

// kube starts a part that is a program of Kubernetes.
func (n *Node) kube(name string, args ...string) error {
	binary, err := tools.Path(tools.Kube, name)
	if err != nil {
		return err
	}
	return n.run(name, binary, args...)
}

// await asks until there is no error, or until a part has ended that should not.
func (n *Node) await(ctx context.Context, what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, ready)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		for _, p := range n.parts {
			select {
			case exit := <-p.exit:
				return fmt.Errorf("%s has ended: %v\n%s", p.name, exit, lastLines(p.log))
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: %w\n%s", what, ready, err, n.said())
		case <-time.After(poll):
		}
	}
}

// Kubectl runs kubectl as an administrator and returns what it printed.
func (n *Node) Kubectl(ctx context.Context, args ...string) (string, error) {
	binary, err := tools.Path(tools.Kube, "kubectl")
	if err != nil {
		return "", err
	}
	return output(exec.CommandContext(ctx, binary, append([]string{"--kubeconfig=" + n.Kubeconfig}, args...)...))
}

// Import makes the image in a tar known to the node under a name, which pods use with imagePullPolicy Never or IfNotPresent.
func (n *Node) Import(ctx context.Context, tar string) error {
	debian, err := tools.Unpacked("node")
	if err != nil {
		return err
	}
	_, err = output(exec.CommandContext(ctx, filepath.Join(debian, "usr/bin/ctr"), "--address", socket, "--namespace", "k8s.io", "images", "import", tar))
	return err
}

func output(cmd *exec.Cmd) (string, error) {
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(complaints.String()))
	}
	return string(out), nil
}

// Stop ends everything, the API server before its etcd. The containers end with the namespaces.
func (n *Node) Stop() (err error) {
	for i := len(n.parts) - 1; i >= 0; i-- {
		p := n.parts[i]
		if kill := p.cmd.Process.Kill(); kill != nil && !errors.Is(kill, os.ErrProcessDone) {
			err = errors.Join(err, fmt.Errorf("end %s: %w", p.name, kill))
		}
	}
	n.parts = nil
	return err
}

// said is the end of every part's log.
func (n *Node) said() string {
	var text strings.Builder
	for _, p := range n.parts {
		fmt.Fprintf(&text, "--- %s\n%s", p.name, lastLines(p.log))
	}
	return text.String()
}

// lastLines are the last lines of a log.
func lastLines(file string) string {
	const most = 8
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error() + "\n"
	}
	lines := strings.SplitAfter(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most-1):], "")
}
