package restore

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/sinks/file"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// victimRole is a restore in a process of its own, for being killed.
const victimRole = "restore-victim"

// A sentence is what a victim is to do.
type sentence struct {
	Entry    catalog.Entry
	Sink     string // folder
	Identity string
	Out      string
	Named    bool
	Aside    bool   // move aside what is there
	KillAt   string // the point at which it kills itself; "" leaves that to others
}

func victim(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	var s sentence
	if err := json.Unmarshal([]byte(args[0]), &s); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	sink, err := file.New(s.Sink)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	id, err := age.ParseX25519Identity(s.Identity)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	d := Deps{
		Sinks: []catalog.Named{{Name: "mem", Sink: sink}}, Identities: []age.Identity{id}, named: s.Named,
		at: func(point string) error {
			fmt.Fprintln(stdout, point)
			if point == s.KillAt {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			return nil
		},
	}
	fmt.Fprintln(stdout, "started")
	if _, err := Run(ctx, Plan{Source: FromBackup(s.Entry, string(s.Entry.ID)), Out: s.Out, MoveAside: s.Aside}, d); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// A gallows holds what victims are made of.
type gallows struct {
	stored
	text sentence
}

func newGallows(t *testing.T) gallows {
	t.Helper()
	dir := t.TempDir()
	sink, err := file.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	path, _ := oldFile(t)
	s := store(t, path, sink, true)
	id, ok := s.ids[0].(*age.X25519Identity)
	if !ok {
		t.Fatal("the identity is of another kind")
	}
	return gallows{s, sentence{Entry: s.entry, Sink: dir, Identity: id.String()}}
}

// points are the names of the points that a whole restore passes, each once.
func (g gallows) points(t *testing.T, out string) []string {
	t.Helper()
	w := &witness{}
	d := g.deps()
	d.at = w.at
	mustRun(t, g.plan(out), d)
	return slices.Compact(w.points)
}

// run starts a victim and waits for its end. It tells whether it was killed, and the last point it passed. If at is not empty,
// it is killed some time after it passed that point.
func (g gallows) run(t *testing.T, s sentence, at string, after time.Duration) (killed bool, last string) {
	t.Helper()
	arg, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := child.Command(t.Context(), victimRole, string(arg))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if last = lines.Text(); last == at {
			at = ""
			defer time.AfterFunc(after, func() { _ = cmd.Process.Kill() }).Stop()
		}
	}
	err = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return true, last
	}
	if err != nil {
		t.Fatalf("the victim failed by itself: %v: %s", err, stderr.String())
	}
	return false, last
}

// plaintext is in every snapshot of Kubernetes, and in no sealed file.
var plaintext = []byte("/registry/")

// aftermath looks at what a dead restore has left in parent: no directory that etcd could start on and that is not complete, nothing
// at the destination but complete members, and no plaintext outside of stages; in none at all, with strict.
func (g gallows) aftermath(t *testing.T, parent, out string, strict bool) {
	t.Helper()
	stage := regexp.MustCompile(`/\.[^/]+\.partial-[0-9a-f]{16}/`)
	err := filepath.WalkDir(parent, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && e.Name() == "wal" {
			g.wantComplete(t, filepath.Dir(filepath.Dir(path)))
		}
		if !e.Type().IsRegular() || strings.HasPrefix(path, out+"/") {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 && !strings.HasSuffix(path, ".snap") && !strings.HasSuffix(path, ".wal") {
			t.Errorf("%s is left with mode %v", path, info.Mode())
		}
		if !strict && stage.MatchString(path) {
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, plaintext) {
			t.Errorf("plaintext is left in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadDir(out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, m := range made {
		if !partialName.MatchString(m.Name()) {
			g.wantComplete(t, filepath.Join(out, m.Name()))
		}
	}
}

// wantComplete wants a data directory that etcd can start on: database, raft snapshot and log, whole and of one mind.
func (g gallows) wantComplete(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "member", "snap", "db"))
	if err != nil {
		t.Errorf("%s has a log and no database: %v", dir, err)
		return
	}
	defer f.Close()
	info, err := snapshot.Inspect(t.Context(), f, snapshot.InspectOptions{Raw: true})
	if err != nil || info.Revision != g.entry.Revision+BumpStep || info.LiveKeys != g.entry.LiveKeys {
		t.Errorf("the database in %s is not whole: %+v, %v", dir, info, err)
		return
	}
	last := &walpb.Snapshot{Index: proto.Uint64(3), Term: proto.Uint64(raftTerm)}
	if _, err := wal.Verify(zap.NewNop(), filepath.Join(dir, "member", "wal"), last); err != nil {
		t.Errorf("the log in %s is not whole: %v", dir, err)
	}
}

// forget removes what a case has made, of which three members' logs alone are 400 MiB, unless it has failed.
func forget(t *testing.T, parent string) {
	t.Helper()
	if t.Failed() {
		return
	}
	if err := os.RemoveAll(parent); err != nil {
		t.Error(err)
	}
}

// destination is a folder that does not exist, or does, as out.
func destination(t *testing.T, exists bool) (parent, out string) {
	t.Helper()
	parent = t.TempDir()
	out = filepath.Join(parent, "out")
	if exists {
		mkdir(t, out)
	}
	return parent, out
}
