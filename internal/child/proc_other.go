//go:build !linux

package child

import "os/exec"

// apart does nothing here: a signal from the terminal reaches the command too.
func apart(*exec.Cmd) {}

// killWithThread does nothing here: a foreign binary may outlive us, our own roles look for their parent themselves.
func killWithThread(*exec.Cmd) {}
