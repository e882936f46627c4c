package child

import (
	"os/exec"
	"syscall"
)

// apart puts the command into a process group of its own, so that Ctrl-C reaches only the process which can end it in order.
func apart(cmd *exec.Cmd) {
	attr(cmd).Setpgid = true
}

// killWithThread has the kernel kill the command when the thread that forks it ends.
func killWithThread(cmd *exec.Cmd) {
	attr(cmd).Pdeathsig = syscall.SIGKILL
}

func attr(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	return cmd.SysProcAttr
}
