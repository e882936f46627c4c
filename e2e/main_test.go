// Package e2e tests the built binary against real servers: etcd clusters of every supported minor, MinIO, stock tools.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// built is the folder that holds the lifeboat binary under test, first in PATH. TestMain sets it once.
var built string

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "age-plugin-"+keeper {
		os.Exit(keep())
	}
	if filepath.Base(os.Args[0]) == signalCounter {
		os.Exit(countSignals())
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	// Whoever runs us may have SIGHUP ignored (nohup), and what we start would inherit that. What is caught here, it gets as it should be.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	dir, err := os.MkdirTemp("", "lifeboat-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if _, err := lab.BuildLifeboat(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	built = dir
	os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return m.Run()
}

// ran is what became of one run of lifeboat.
type ran struct {
	code           int
	stdout, stderr string
}

// lifeboat runs the built binary to its end.
func lifeboat(t testing.TB, args ...string) ran {
	t.Helper()
	return lifeboatWith(t, nil, args...)
}

// lifeboatWith runs it with more environment.
func lifeboatWith(t testing.TB, env []string, args ...string) ran {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(built, "lifeboat"), args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.Env = append(os.Environ(), env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("lifeboat %s: %v", strings.Join(args, " "), err)
	}
	return ran{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// must fails the test unless the run ended with code.
func (r ran) must(t testing.TB, code int) ran {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit %d, want %d\nstdout:\n%s\nstderr:\n%s", r.code, code, r.stdout, r.stderr)
	}
	return r
}

// keys are one identity and its recipient, made by the binary itself.
type keys struct{ identity, recipients string }

func newKeys(t testing.TB, flags ...string) keys {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup.key")
	lifeboat(t, append([]string{"key", "new", file}, flags...)...).must(t, 0)
	return keys{file, file + ".pub"}
}

// etcdFlags are the flags that reach a lab cluster.
func etcdFlags(c *lab.Cluster) []string {
	flags := []string{"--endpoints", strings.Join(c.Endpoints(), ",")}
	if c.CAFile != "" {
		flags = append(flags, "--cacert", c.CAFile, "--cert", c.CertFile, "--key", c.KeyFile)
	}
	return flags
}
