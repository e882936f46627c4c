package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

const (
	// enclosed is the variable that tells a process that it was started by Enclose.
	enclosed = "LIFEBOAT_TEST_NODE"
	// turn is an abstract socket which whoever has a node holds: their control groups have one place on a machine.
	turn = "@lifeboat-test-node"
	// lifeline is the descriptor whose end tells the sweeper that everybody is gone.
	lifeline = 3
)

// sweep removes, once its standard input has ended, the control groups that the containers of a node leave behind. It is a process of its
// own, which sees to it even when those who made them are killed, and has their turn until it is done. A group is in use until the last of its
// processes is quite gone.
const sweep = `read -r _
for try in $(seq 300); do
  left=
  for top in /sys/fs/cgroup/k8s.io /sys/fs/cgroup/*/k8s.io; do
    [ -d "$top" ] || continue
    find "$top" -depth -type d -exec rmdir {} + 2>/dev/null
    [ ! -d "$top" ] || left=$top
  done
  [ -n "$left" ] || exit 0
  sleep 0.3
done`

// Enclosed tells whether this process was started by Enclose, so that Start may be called.
func Enclosed() bool { return os.Getenv(enclosed) != "" }

// Enclose runs a command, mostly this same binary, as the first process of namespaces of its own (processes, network, mounts), in which it
// calls Start. It waits for its turn if there is a node on this machine already. When the command ends, or this process
// does, whatever way, nothing that was started is left. Needs root.
func Enclose(ctx context.Context, cmd *exec.Cmd) error {
	if os.Getuid() != 0 {
		return errors.New("a node needs root: run this as root, on a machine that may be anything but a node of a cluster itself")
	}
	mine, err := TakeTurn(ctx)
	if err != nil {
		return err
	}
	defer mine.Close()
	also, err := mine.File()
	if err != nil {
		return err
	}
	defer also.Close()
	alive, held, err := os.Pipe()
	if err != nil {
		return err
	}
	defer alive.Close()
	defer held.Close()
	sweeper := exec.Command("/bin/sh", "-c", sweep)
	sweeper.Stdin, sweeper.ExtraFiles = alive, []*os.File{also}
	sweeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what kills our group must not kill it
	if err := sweeper.Start(); err != nil {
		return fmt.Errorf("start what cleans up: %w", err)
	}
	cmd.Env = append(cmd.Environ(), enclosed+"=1")
	cmd.ExtraFiles = []*os.File{held}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID
	exit, err := child.Start(cmd)
	if err == nil {
		err = <-exit
	}
	_ = held.Close()
	return errors.Join(err, sweeper.Wait())
}

// TakeTurn waits until nobody else has a node, and until what the last one left behind is swept away. Others wait until what it returns is closed.
func TakeTurn(ctx context.Context) (*net.UnixListener, error) {
	for {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: turn})
		if err == nil {
			return l, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("somebody else on this machine has a node: %w", context.Cause(ctx))
		case <-time.After(time.Second):
		}
	}
}

// settle makes the namespaces a place in which a node can write what it likes: all of it is in memory, under /run, and ends with them.
func settle(dir string) error {
	unix.CloseOnExec(lifeline)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part with the machine's mounts: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("lab", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("", "/run", "", unix.MS_SHARED, ""); err != nil { // volumes of pods go from the kubelet to containers
		return fmt.Errorf("share the mounts of /run: %w", err)
	}
	for _, at := range []string{"/var/lib", "/var/log"} {
		upper, work := filepath.Join(dir, "over", at, "upper"), filepath.Join(dir, "over", at, "work")
		if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
			return err
		}
		if err := unix.Mount("overlay", at, "overlay", 0, "lowerdir="+at+",upperdir="+upper+",workdir="+work); err != nil {
			return fmt.Errorf("lay something over %s: %w", at, err)
		}
	}
	return pretend(filepath.Join(dir, "sysctl"))
}

// pretend lays files over the settings of the kernel that a kubelet would change for the whole machine.
func pretend(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
		"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
	} {
		file, setting := filepath.Join(dir, filepath.Base(name)), filepath.Join("/proc/sys", name)
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(file, setting, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("lay something over %s: %w", setting, err)
		}
	}
	return nil
}
