package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// signalCounter is the name under which this binary counts the signals that it gets. A shell is no good for that: two that come close
// together are one to it.
const signalCounter = "count-signals"

// countSignals makes the file of its first argument once it is ready, waits for a signal, writes a line into the file of the second for each
// that comes in a second, and exits with 7.
func countSignals() int {
	got := make(chan os.Signal, 8)
	signal.Notify(got, syscall.SIGINT, syscall.SIGTERM)
	if os.WriteFile(os.Args[1], nil, 0o600) != nil {
		return 1
	}
	text := fmt.Sprintln(<-got)
	for end := time.After(time.Second); ; {
		select {
		case s := <-got:
			text += fmt.Sprintln(s)
		case <-end:
			if os.WriteFile(os.Args[2], []byte(text), 0o600) != nil {
				return 1
			}
			return 7
		}
	}
}

// counter is a command that counts signals.
func (g *guardRun) counter(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(g.dir, signalCounter)
	if err := os.Symlink(self, file); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	return file
}

// interruptFromATerminal runs guard in the foreground of a terminal of its own and types Ctrl-C there. The terminal sends the signal to
// guard and to the command; that guard does not pass it on as well is seen in how often the command gets it.
func (g *guardRun) interruptFromATerminal(t *testing.T) {
	keyboard, terminal := openTerminal(t)
	ready, cleaned := filepath.Join(g.dir, "ready-tty"), filepath.Join(g.dir, "cleaned-tty")
	cmd := exec.Command(filepath.Join(built, "lifeboat"), g.args("--", g.counter(t), ready, cleaned)...)
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
	mustSay(t, "guard", text, `interrupted by SIGINT while .* ran, which exited with status 7`)
	mustSay(t, "the command's own record", readFile(t, cleaned), `^interrupt\n$`)
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
