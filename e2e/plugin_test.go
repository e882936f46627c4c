package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// keeper is the name of an age plugin that keeps hybrid identities, as those for password managers do: this program under another name.
const keeper = "keeper"

// keep is the plugin: it asks for a PIN before it opens anything.
func keep() int {
	p, err := plugin.New(keeper)
	if err != nil {
		panic(err)
	}
	p.HandleIdentity(func(data []byte) (age.Identity, error) {
		id, err := age.ParseHybridIdentity(string(data))
		return kept{id, p}, err
	})
	return p.Main()
}

type kept struct {
	age.Identity
	p *plugin.Plugin
}

func (k kept) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	pin, err := k.p.RequestValue("the PIN:", true)
	if err != nil || pin != "1234" {
		return nil, fmt.Errorf("without its PIN it opens nothing")
	}
	return k.Identity.Unwrap(stanzas)
}

// terminal runs lifeboat on a terminal of its own, as `script` does, types what is given once the prompt is there, and returns all that
// showed.
func terminal(t *testing.T, code int, prompt, answer string, args ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(built, "lifeboat"), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	slave.Close()
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	typed, buf := false, make([]byte, 4096)
	for {
		n, err := master.Read(buf)
		shown.Write(buf[:n])
		if !typed && strings.Contains(shown.String(), prompt) {
			typed = true
			awaitQuiet(t, fd)
			if _, err := io.WriteString(master, answer); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil { // EIO once the last one has closed the other end
			break
		}
	}
	_ = cmd.Wait() // the code is looked at
	if got := cmd.ProcessState.ExitCode(); got != code || !typed {
		t.Errorf("exit %d, want %d; asked: %v\n%s", got, code, typed, shown.String())
	}
	if strings.Contains(shown.String(), strings.TrimSpace(answer)) {
		t.Errorf("what was typed shows:\n%s", shown.String())
	}
	if after, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil || after.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal is left without its echo: %v", err)
	}
	return shown.String()
}

// awaitQuiet waits as a person does: the prompt is there a moment before the terminal shows no more what is typed.
func awaitQuiet(t *testing.T, fd int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		state, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("a secret is asked for, and what is typed would show: %v", err)
		}
		if state.Lflag&unix.ECHO == 0 {
			return
		}
	}
}

// TestSecretsAreAskedOnTheTerminalAndDoNotShow opens a backup with a passphrase and with the PIN of a real age plugin, typed on a real terminal;
// without one both fail at once and say why.
func TestSecretsAreAskedOnTheTerminalAndDoNotShow(t *testing.T) {
	t.Parallel()
	source := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	dir := t.TempDir()
	sink := []string{"--sink", "file://" + t.TempDir()}
	if err := os.WriteFile(filepath.Join(dir, "passphrase"), []byte("correct horse battery\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	safe := newKeys(t, "--passphrase-file", filepath.Join(dir, "passphrase"))
	open := newKeys(t)
	recipients := filepath.Join(dir, "recipients")
	var both []byte
	for _, k := range []keys{safe, open} {
		text, err := os.ReadFile(k.recipients)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, text...)
	}
	secret, err := os.ReadFile(open.identity)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(secret)), "\n")
	token := filepath.Join(dir, "token.txt")
	if err := os.WriteFile(recipients, both, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(token, []byte(plugin.EncodeIdentity(keeper, []byte(lines[len(lines)-1]))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lifeboat(t, append(append([]string{"backup", "--recipients-file", recipients}, sink...), etcdFlags(source)...)...).must(t, 0)

	deep := append([]string{"verify", "latest", "--deep", "--spool-dir", dir}, sink...)
	with := func(identity string) []string { return append(deep[:len(deep):len(deep)], "--identity", identity) }
	prompt := "passphrase of " + safe.identity + ":"
	terminal(t, 0, prompt, "correct horse battery\n", with(safe.identity)...)
	terminal(t, 8, prompt, "correct donkey\n", with(safe.identity)...)
	terminal(t, 130, prompt, "\x03", with(safe.identity)...) // Ctrl-C

	alone := func(identity string) string {
		cmd := exec.Command(filepath.Join(built, "lifeboat"), with(identity)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal
		out, _ := cmd.CombinedOutput()
		return fmt.Sprintf("exit %d\n%s", cmd.ProcessState.ExitCode(), out)
	}
	if said := alone(token); !strings.HasPrefix(said, "exit 8") || !strings.Contains(said, "the program age-plugin-keeper is not there") ||
		!strings.Contains(said, "lifeboat: hint: install age-plugin-keeper") {
		t.Errorf("a plugin that is not there: %s", said)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(built, "age-plugin-"+keeper)
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(program) })
	if said := alone(token); !strings.HasPrefix(said, "exit 8") || !strings.Contains(said, "without its PIN it opens nothing") || !strings.Contains(said, "terminal") {
		t.Errorf("a plugin that asks where nobody is: %s", said)
	}
	terminal(t, 0, "the PIN:", "1234\n", with(token)...)
	terminal(t, 8, "the PIN:", "4321\n", with(token)...)
}
