package rehearsal

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/throwaway"
)

// versionTimeout bounds `etcd --version`, which does nothing but print.
const versionTimeout = 10 * time.Second

// BinaryError is an --etcd or --apiserver that cannot be used: a mistake in the command, found before anything is fetched.
type BinaryError struct {
	Path      string
	APIServer bool // it was meant to be a kube-apiserver
	Err       error
}

func (e *BinaryError) Error() string {
	if e.APIServer {
		return fmt.Sprintf("kube-apiserver binary %s: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("etcd binary %s: %v", e.Path, e.Err)
}
func (e *BinaryError) Unwrap() error { return e.Err }

// Hint says what to give instead.
func (e *BinaryError) Hint() string {
	if e.APIServer {
		return "give the path of a kube-apiserver binary to --apiserver, and only flags that it knows to --apiserver-arg (as in --apiserver-arg=--v=2)"
	}
	return "give the path of an etcd server binary to --etcd, or leave it out to use the built-in etcd"
}

// A server is what members run on: a binary and the version it says it is. The zero value is the built-in etcd.
type server struct{ binary, version string }

var versionLine = regexp.MustCompile(`(?m)^etcd Version: (\d+\.\d+\.\d+\S*)`)

// serversOf asks each binary for its version; none given means the built-in etcd.
func serversOf(ctx context.Context, binaries []string) ([]server, error) {
	if len(binaries) == 0 {
		return []server{{}}, nil
	}
	var all []server
	for _, b := range binaries {
		v, err := versionOf(ctx, b)
		if err != nil {
			return nil, &BinaryError{Path: b, Err: err}
		}
		all = append(all, server{b, v})
	}
	return all, nil
}

func versionOf(ctx context.Context, binary string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "--version")
	cmd.WaitDelay = time.Second
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ETCD_") })
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", err
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("it does not say its version as etcd does, but %q", firstLine(string(out)))
	}
	return string(m[1]), nil
}

// olderThan compares versions by their first two numbers. The built-in etcd, and a version that is no number, is not older.
func (s server) olderThan(major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(s.version, "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a < major || a == major && b < minor
}

// how is what a member is started with.
func (s server) how(args ...string) throwaway.How {
	return throwaway.How{Binary: s.binary, Args: args, Ancient: s.olderThan(3, 5)}
}

// minor is the version without its patch level: "3.6" of "3.6.16".
func (s server) minor() string {
	parts := strings.SplitN(s.version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
