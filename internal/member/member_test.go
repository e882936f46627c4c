package member_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/member"
)

func TestMain(m *testing.M) { lab.Main(m, nil) }

// single describes a cluster of one member in a directory that is kept if the test fails.
func single(t *testing.T) member.Spec {
	t.Helper()
	dir := lab.Dir(t)
	ports, err := member.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	s := member.Spec{
		Name:      "only",
		DataDir:   filepath.Join(dir, "only"),
		ClientURL: fmt.Sprintf("http://127.0.0.1:%d", ports[0]),
		PeerURL:   fmt.Sprintf("http://127.0.0.1:%d", ports[1]),
		Token:     "test",
		LogFile:   filepath.Join(dir, "only.log"),
	}
	s.InitialCluster = map[string]string{"only": s.PeerURL}
	return s
}

func start(t *testing.T, s member.Spec) *member.Process {
	t.Helper()
	p, err := member.Start(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	return p
}

// served starts a member and waits until it has stored something.
func served(t *testing.T, s member.Spec) *member.Process {
	t.Helper()
	p := start(t, s)
	cli, err := clientv3.New(clientv3.Config{Endpoints: []string{s.ClientURL}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer cli.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := cli.Put(ctx, "key", "value"); err != nil {
		t.Fatalf("put: %v (%v)", err, p.Err())
	}
	return p
}

func ended(t *testing.T, p *member.Process) error {
	t.Helper()
	select {
	case <-p.Done():
		return p.Err()
	case <-time.After(30 * time.Second):
		t.Fatal("the member goes on")
		return nil
	}
}

func TestStoppedMemberLeavesNoErrorAndNoNoise(t *testing.T) {
	t.Parallel()
	s := single(t)
	p := served(t, s)
	if p.Err() != nil {
		t.Errorf("a running member has an error: %v", p.Err())
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if err := ended(t, p); err != nil {
		t.Errorf("a stopped member has an error: %v", err)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("stopping twice: %v", err)
	}
	if err := p.Kill(); err != nil {
		t.Errorf("killing a stopped member: %v", err)
	}
	log, err := os.ReadFile(s.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(log), `"level":"info"`) {
		t.Errorf("the log is not quiet: %s", log)
	}
}

func TestKilledMemberStartsAgainOnItsData(t *testing.T) {
	t.Parallel()
	s := single(t)
	if err := served(t, s).Kill(); err != nil {
		t.Fatal(err)
	}
	if err := served(t, s).Stop(); err != nil {
		t.Fatal(err)
	}
}

func TestCancelKillsTheMember(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p, err := member.Start(ctx, single(t))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := ended(t, p); err == nil {
		t.Error("a member that was killed by its context has no error")
	}
}

// TestDamagedDirectoryEndsTheMemberWithAReason damages what a member has written in the ways that end a process
// differently: a panic in a goroutine, a fatal log line, an error.
func TestDamagedDirectoryEndsTheMemberWithAReason(t *testing.T) {
	damages := map[string]struct {
		damage func(t *testing.T, dir string)
		reason string
	}{
		"zeroed database": {func(t *testing.T, dir string) {
			db := filepath.Join(dir, "member/snap/db")
			info, err := os.Stat(db)
			if err != nil {
				t.Fatal(err)
			}
			write(t, db, make([]byte, info.Size()))
		}, "panic"},
		"snap is a file": {func(t *testing.T, dir string) {
			snap := filepath.Join(dir, "member/snap")
			if err := os.RemoveAll(snap); err != nil {
				t.Fatal(err)
			}
			write(t, snap, nil)
		}, "member/snap"},
		"flipped WAL": {func(t *testing.T, dir string) {
			logs, err := filepath.Glob(filepath.Join(dir, "member/wal/*.wal"))
			if err != nil || len(logs) == 0 {
				t.Fatalf("no WAL: %v", err)
			}
			text, err := os.ReadFile(logs[0])
			if err != nil {
				t.Fatal(err)
			}
			text[40] ^= 1
			write(t, logs[0], text)
		}, "crc mismatch"},
	}
	for name, d := range damages {
		for _, binary := range []string{"built-in", "binary"} {
			t.Run(name+" "+binary, func(t *testing.T) {
				t.Parallel()
				s := single(t)
				if binary == "binary" {
					s.Binary = lab.Tool(t, "etcd-3.7", "etcd")
				}
				if err := served(t, s).Stop(); err != nil {
					t.Fatal(err)
				}
				d.damage(t, s.DataDir)
				err := ended(t, start(t, s))
				if err == nil || !strings.Contains(err.Error(), d.reason) || !strings.Contains(err.Error(), "member only") {
					t.Errorf("got %v, want %q in it", err, d.reason)
				}
				t.Log(err)
			})
		}
	}
}

func TestMemberThatNeverJoinsStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := single(t)
	s.InitialCluster["absent"] = "http://127.0.0.1:1"
	p := start(t, s)
	select {
	case <-p.Done():
		t.Fatal(p.Err())
	case <-time.After(2 * time.Second): // it is up and looks for the other
	}
	began := time.Now()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestPortInUseIsTheReason(t *testing.T) {
	t.Parallel()
	s := single(t)
	served(t, s)
	other := single(t)
	other.ClientURL = s.ClientURL
	if err := ended(t, start(t, other)); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

func TestSpecThatCannotWorkIsRefused(t *testing.T) {
	good := single(t)
	for name, spoil := range map[string]func(*member.Spec){
		"no name":             func(s *member.Spec) { s.Name = "" },
		"no token":            func(s *member.Spec) { s.Token = "" },
		"other peer URL":      func(s *member.Spec) { s.PeerURL = "http://127.0.0.1:1" },
		"unknown state":       func(s *member.Spec) { s.State = "old" },
		"flags for built-in":  func(s *member.Spec) { s.Args = []string{"--debug"} },
		"binary is not there": func(s *member.Spec) { s.Binary = "/nonexistent/etcd" },
		"log cannot be made":  func(s *member.Spec) { s.LogFile = "/nonexistent/log" },
	} {
		s := good
		spoil(&s)
		if _, err := member.Start(t.Context(), s); err == nil || !strings.HasPrefix(err.Error(), "member "+s.Name+": ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestFreePortsDiffer(t *testing.T) {
	ports, err := member.FreePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range ports {
		seen[port] = true
	}
	if len(seen) != 50 {
		t.Errorf("%d different ports, want 50", len(seen))
	}
}

func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
