package restore

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// neverOpened fails the test when anything is fetched.
type neverOpened struct {
	sinks.Sink
	t *testing.T
}

func (n neverOpened) Open(context.Context, string, int64) (io.ReadCloser, error) {
	n.t.Error("a refused restore fetches the backup")
	return nil, fs.ErrPermission
}

// trusting is a trust in keys that signed nothing here.
func trusting(t *testing.T) catalog.Trust {
	t.Helper()
	_, public, err := note.GenerateKey(nil, "somebody")
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return catalog.Trust{Verifiers: note.VerifierList(v)}
}

// TestEveryRefusalComesBeforeAnythingIsTouched goes through what must not be done: the kind of the error, what it says, the
// override it names, that nothing was fetched or created, and that the override works.
func TestEveryRefusalComesBeforeAnythingIsTouched(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	for _, c := range []struct {
		name     string
		change   func(t *testing.T, p *Plan)
		says     string
		override string
		accept   func(p *Plan) // nil: there is no override
	}{
		{"directory exists", func(t *testing.T, p *Plan) { mkdir(t, p.Out, "m2") }, "exists", "", nil},
		{"directory exists and is full", func(t *testing.T, p *Plan) { mkdir(t, p.Out, "m2", "member") }, "exists", "", nil},
		{"a file stands there", func(t *testing.T, p *Plan) { touch(t, p.Out) }, "", "", nil},
		{"a dangling link stands there", func(t *testing.T, p *Plan) { symlink(t, p) }, "exists", "", nil},
		{
			"too old", func(_ *testing.T, p *Plan) { p.MaxAge = time.Minute }, "old, more than", "--max-age",
			func(p *Plan) { p.MaxAge = 2 * time.Hour },
		},
		{
			"unsigned", func(t *testing.T, p *Plan) { p.Trust = trusting(t) }, "is not signed", "--accept-unsigned",
			func(p *Plan) { p.Trust.AcceptUnsigned = true },
		},
		{
			"suspect", func(_ *testing.T, p *Plan) { p.Source.Entry.Doubts = []string{"it has 3 keys instead of 300"} }, "3 keys instead",
			"--accept-suspect", func(p *Plan) { p.AcceptSuspect = true },
		},
		{
			"newer storage", func(_ *testing.T, p *Plan) { p.Source.StorageVersion, p.EtcdVersion = "3.7.0", "3.6.5" }, "storage version 3.7.0",
			"--accept-storage-version", func(p *Plan) { p.AcceptStorageVersion = true },
		},
		{
			"bump below the head", func(_ *testing.T, p *Plan) { p.Head = p.Source.Revision + BumpStep }, "stays below", "--no-bump",
			func(p *Plan) { p.Attempt = 2 },
		},
		{
			"too little disk", func(_ *testing.T, p *Plan) { p.Source.Size = 1 << 50 }, "MiB free", "--ignore-free-space",
			func(p *Plan) { p.IgnoreFreeSpace = true },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			p := s.plan(filepath.Join(parent, "out"))
			entry := s.entry
			p.Source.Entry = &entry
			c.change(t, &p)
			before := tree(t, parent)
			d := s.deps()
			d.Sinks[0].Sink = neverOpened{d.Sinks[0].Sink, t}
			_, err := Run(t.Context(), p, d)
			var refusal *Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if !strings.Contains(refusal.What, c.says) || !strings.Contains(refusal.Override, c.override) || refusal.Safe == "" {
				t.Errorf("it says %+v", refusal)
			}
			if errors.Is(err, catalog.ErrNotAuthentic) != (c.name == "unsigned") {
				t.Errorf("authenticity: %v", err)
			}
			if after := tree(t, parent); after != before {
				t.Errorf("a refused restore leaves:\n%s", after)
			}
			if c.accept == nil {
				return
			}
			c.accept(&p)
			if err := p.Check(t.Context(), d.Now(), d.Identities); err != nil {
				t.Errorf("with the override: %v", err)
			}
		})
	}
}

func TestWrongUsageIsToldBeforeAnythingIsTouched(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	for name, c := range map[string]struct {
		change func(p *Plan)
		says   string
	}{
		"no identity":            {func(*Plan) {}, "no identity"},
		"latest for one member":  {func(p *Plan) { p.Only, p.Source.Asked = "m1", "latest" }, "exact id"},
		"a prefix of an id":      {func(p *Plan) { p.Only, p.Source.Asked = "m1", p.Source.ID[:20] }, "exact id"},
		"unknown member":         {func(p *Plan) { p.Only = "m9" }, "not among the members"},
		"two places":             {func(p *Plan) { p.Only, p.DataDir = "m1", "/tmp/x" }, "contradict"},
		"a place for one of all": {func(p *Plan) { p.Out, p.DataDir = "", "/tmp/x" }, "for one member"},
		"no place":               {func(p *Plan) { p.Out = "" }, "no place"},
		"the root":               {func(p *Plan) { p.Out = "/" }, "cannot be restored into"},
		"attempt 0":              {func(p *Plan) { p.Attempt = -1 }, "--attempt"},
		"a strange version":      {func(p *Plan) { p.EtcdVersion = "new" }, "not a version"},
		"no members":             {func(p *Plan) { p.Source.Members = nil }, "which members"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			p := s.plan(filepath.Join(parent, "out"))
			c.change(&p)
			d := s.deps()
			d.Sinks[0].Sink = neverOpened{d.Sinks[0].Sink, t}
			if name == "no identity" {
				d.Identities = nil
			}
			_, err := Run(t.Context(), p, d)
			var usage *UsageError
			if !errors.As(err, &usage) || !strings.Contains(usage.Reason, c.says) || usage.Advice == "" {
				t.Errorf("got %v, want usage: %s", err, c.says)
			}
			if after := tree(t, parent); after != "" {
				t.Errorf("wrong usage leaves:\n%s", after)
			}
		})
	}
}

// TestAnEtcdOnTheDirectoryIsRefused runs processes that look like an etcd of that directory: one that was told to use it, and
// one that still has a removed file of it open.
func TestAnEtcdOnTheDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T, cmd *exec.Cmd) {
		t.Helper()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // killed
		})
	}
	refused := func(t *testing.T, p Plan) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second) // a started process shows its arguments only after exec
		for {
			err := p.Check(t.Context(), taken, s.ids)
			var refusal *Refusal
			if errors.As(err, &refusal) && strings.Contains(refusal.What, "is at work on") {
				p.IgnoreRunning = true
				if err := p.Check(t.Context(), taken, s.ids); err != nil {
					t.Errorf("in spite of the override %s: %v", refusal.Override, err)
				}
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("got %v, want a refusal because of the process", err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	t.Run("by its flag", func(t *testing.T) {
		t.Parallel()
		p := s.plan(filepath.Join(t.TempDir(), "out"))
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		t.Cleanup(func() { _ = w.Close() })
		start(t, &exec.Cmd{Path: "/bin/sh", Args: []string{"etcd", "-c", "read never", "--data-dir", filepath.Join(p.Out, "m2")}, Stdin: r})
		refused(t, p)
	})
	t.Run("by its environment", func(t *testing.T) {
		t.Parallel()
		p := s.plan(filepath.Join(t.TempDir(), "out"))
		start(t, &exec.Cmd{Path: sleep, Args: []string{"/usr/bin/etcd", "60"}, Env: []string{"ETCD_DATA_DIR=" + filepath.Join(p.Out, "m2") + "/"}})
		refused(t, p)
	})
	t.Run("by an open file", func(t *testing.T) {
		t.Parallel()
		p := s.plan(filepath.Join(t.TempDir(), "out"))
		db := filepath.Join(p.Out, "m3", "member", "snap", "db")
		mkdir(t, filepath.Dir(db))
		f, err := os.Create(db)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		start(t, &exec.Cmd{Path: sleep, Args: []string{"sleep", "60"}, ExtraFiles: []*os.File{f}})
		if err := os.RemoveAll(p.Out); err != nil {
			t.Fatal(err)
		}
		refused(t, p)
	})
}

func mkdir(t *testing.T, parts ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(parts...), 0o755); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, p *Plan) {
	t.Helper()
	mkdir(t, p.Out)
	if err := os.Symlink("/nowhere at all", filepath.Join(p.Out, "m1")); err != nil {
		t.Fatal(err)
	}
}

// tree lists everything below dir, for comparing before with after.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != dir {
			all.WriteString(strings.TrimPrefix(path, dir) + " " + d.Type().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
