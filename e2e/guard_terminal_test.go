package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// interruptFromATerminal runs guard in the foreground of a terminal of its own and types Ctrl-C there. The terminal sends the signal to
// guard and to the command; that guard does not pass it on as well is seen in how often the command gets it.
func (g *guardRun) interruptFromATerminal(t *testing.T) {
	keyboard, terminal := openTerminal(t)
	ready, cleaned := filepath.Join(g.dir, "ready-tty"), filepath.Join(g.dir, "cleaned-tty")
	waits := g.script(t, "waits-tty", trapping(ready, cleaned))
	cmd := exec.Command(filepath.Join(built, "lifeboat"), g.args("--", waits)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	terminal.Close()
	said := make(chan string)
	go func() {
		text, _ := io.ReadAll(keyboard) // ends with an error, once nobody has the terminal open
		said <- string(text)
	}()
	await(t, ready)
	if _, err := keyboard.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	text := <-said
	if got := cmd.ProcessState.ExitCode(); got != 130 {
		t.Errorf("exit %d, want 130:\n%s", got, text)
	}
	mustSay(t, "guard", text, `interrupted by interrupt while .* ran, which exited with status 7`)
	mustSay(t, "the command's own record", readFile(t, cleaned), `^signal\n$`)
}

// openTerminal opens both ends of a pseudo-terminal.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keyboard, terminal
}
