package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// service is a running `lifeboat run` or `lifeboat observe` whose log is read as it comes.
type service struct {
	cmd  *exec.Cmd
	gone chan struct{}

	mu   sync.Mutex
	log  []string
	came []time.Time   // when each line of it came
	more chan struct{} // closed at the next line
}

func serve(t testing.TB, args ...string) *service {
	t.Helper()
	return launch(t, nil, append([]string{"run"}, args...)...)
}

// launch starts a command that goes on until it is told to end, with more environment.
func launch(t testing.TB, env []string, args ...string) *service {
	t.Helper()
	cmd := exec.Command(filepath.Join(built, "lifeboat"), args...)
	cmd.Env = append(os.Environ(), env...)
	return attend(t, cmd)
}

// attend starts a command of lifeboat and reads its log.
func attend(t testing.TB, cmd *exec.Cmd) *service {
	t.Helper()
	s := &service{cmd: cmd, gone: make(chan struct{}), more: make(chan struct{})}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.gone)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.mu.Lock()
			s.log, s.came = append(s.log, lines.Text()), append(s.came, time.Now())
			close(s.more)
			s.more = make(chan struct{})
			s.mu.Unlock()
		}
		_ = s.cmd.Wait() // how it ended is asked for later
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.gone
		if t.Failed() {
			t.Logf("the log of lifeboat %s:\n%s", cmd.Args[1], s.text())
		}
	})
	return s
}

func (s *service) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}

// until waits for the nth line that matches all patterns, and returns it.
func (s *service) until(t testing.TB, nth int, patterns ...string) string {
	t.Helper()
	deadline := time.After(3 * time.Minute)
	for {
		s.mu.Lock()
		fit := slices.DeleteFunc(slices.Clone(s.log), func(line string) bool {
			return slices.ContainsFunc(patterns, func(p string) bool { return !regexp.MustCompile(p).MatchString(line) })
		})
		more := s.more
		s.mu.Unlock()
		if len(fit) >= nth {
			return fit[nth-1]
		}
		select {
		case <-more:
		case <-s.gone:
			t.Fatalf("lifeboat ended before %d lines had %q", nth, patterns)
		case <-deadline:
			t.Fatalf("waited long enough for %d lines with %q", nth, patterns)
		}
	}
}

// says waits until the log has so many lines, or ends before.
func (s *service) says(t testing.TB, lines int) {
	t.Helper()
	deadline := time.After(3 * time.Minute)
	for {
		s.mu.Lock()
		so, more := len(s.log), s.more
		s.mu.Unlock()
		if so >= lines {
			return
		}
		select {
		case <-more:
		case <-s.gone:
			return
		case <-deadline:
			t.Fatalf("waited long enough for %d lines", lines)
		}
	}
}

// end sends a signal and returns the exit status.
func (s *service) end(t testing.TB, sig syscall.Signal) int {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.gone:
	case <-time.After(3 * time.Minute):
		t.Fatalf("%s did not end it", sig)
	}
	return s.cmd.ProcessState.ExitCode()
}

// site is a folder with keys, a bucket and a configuration.
type site struct {
	dir, bucket, config string
	keys                keys
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), keys: newKeys(t)}
	s.bucket, s.config = filepath.Join(s.dir, "bucket"), filepath.Join(s.dir, "lifeboat.yaml")
	if err := os.Mkdir(s.bucket, 0o700); err != nil {
		t.Fatal(err)
	}
	return s
}

// configure writes the configuration: each cluster is its name, its endpoint and the rest of its keys.
func (s *site) configure(t testing.TB, clusters ...[3]string) {
	t.Helper()
	text := "clusters:\n"
	for _, c := range clusters {
		text += fmt.Sprintf("  - {name: %s, endpoints: [%q], sinks: [here], %s}\n", c[0], c[1], c[2])
	}
	text += fmt.Sprintf("sinks:\n  here: {url: \"file://%s\"}\nencryption: {recipients-file: %s, identity: [%s]}\n", s.bucket, s.keys.recipients, s.keys.identity)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *site) backups(t testing.TB, cluster string) (ids []string) {
	t.Helper()
	var l struct {
		Backups []struct {
			ID string `json:"id"`
		} `json:"backups"`
	}
	decode(t, lifeboat(t, "list", "--sink", "file://"+s.bucket, "--cluster", cluster, "-o", "json").must(t, 0).stdout, &l)
	for _, b := range l.Backups {
		ids = append(ids, b.ID)
	}
	return ids
}
