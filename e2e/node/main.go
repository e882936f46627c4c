// Command node runs a command, or else a shell, beside a Kubernetes cluster of one node, which ends with it. In the command's environment
// KUBECONFIG and the ETCDCTL_ variables say how to reach the cluster, and PATH has its kubectl and etcdctl.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/e2e/lab/node"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		os.Exit(exit.ExitCode()) // whoever failed has said why
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command []string) error {
	if node.Enclosed() {
		return beside(ctx, command)
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", command...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if _, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS); err == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Foreground: true} // a shell wants the terminal
	}
	return node.Enclose(ctx, cmd)
}

// beside starts the node and runs the command to its end.
func beside(ctx context.Context, command []string) error {
	n, err := node.Start(ctx)
	if err != nil {
		return err
	}
	path := os.Getenv("PATH")
	for _, tool := range [][2]string{{tools.Kube, "kubectl"}, {"etcd-3.6", "etcdctl"}} {
		file, err := tools.Path(tool[0], tool[1])
		if err != nil {
			return err
		}
		path = filepath.Dir(file) + string(os.PathListSeparator) + path
	}
	if len(command) == 0 {
		command = []string{"bash", "-i"}
		fmt.Fprintf(os.Stderr, "The node is ready, and what it says is in %s. exit ends it.\n", n.Logs)
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "PATH="+path, "KUBECONFIG="+n.Kubeconfig,
		"ETCDCTL_ENDPOINTS="+node.Etcd, "ETCDCTL_CACERT="+n.Client.CA, "ETCDCTL_CERT="+n.Client.Cert, "ETCDCTL_KEY="+n.Client.Key)
	return errors.Join(cmd.Run(), n.Stop())
}
