package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// occupied is a data directory with something of a person's in it.
func occupied(t *testing.T, dir string) {
	t.Helper()
	mkdir(t, dir, "member", "snap")
	if err := os.WriteFile(filepath.Join(dir, "member", "snap", "db"), []byte(filepath.Base(dir)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wantOld wants what occupied has made of name to lie, whole, at one place at least beneath parent, and tells where.
func wantOld(t *testing.T, parent, name string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(parent, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "db" {
			if data, err := os.ReadFile(path); err == nil && string(data) == name {
				all = append(all, filepath.Dir(filepath.Dir(filepath.Dir(path))))
			}
		}
		return err
	})
	if err != nil || len(all) != 1 {
		t.Errorf("the old %s lies in %q: %v", name, all, err)
	}
	return all
}

func TestAnExistingDirectoryIsMovedAsideWhenAskedTo(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprintf("exchange %v", !plain), func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := filepath.Join(parent, "etcd")
			occupied(t, dir)
			if err := os.Chmod(dir, 0o750); err != nil {
				t.Fatal(err)
			}
			d := s.deps()
			d.plain = plain
			for i, aside := range []string{dir + ".before-" + string(s.entry.ID), dir + ".before-" + string(s.entry.ID) + "-2"} {
				p := s.plan("")
				p.Only, p.DataDir, p.MoveAside = "m2", dir, true
				res := mustRun(t, p, d)
				if len(res.Asides) != 1 || res.Asides[0].Dir != dir || res.Asides[0].To != aside {
					t.Errorf("moved aside: %+v", res.Asides)
				}
				if old := wantOld(t, parent, "etcd"); i == 0 && !slices.Equal(old, []string{aside}) {
					t.Errorf("the old directory is %q, want %s", old, aside)
				}
				if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o750 {
					t.Errorf("the new directory has mode %v: %v", st.Mode(), err)
				}
				gallows{stored: s}.wantComplete(t, dir)
				if args := strings.Join(res.Others["m1"], " "); !strings.Contains(args, "--move-aside") {
					t.Errorf("on the other node: %s", args)
				}
			}
			entries, err := os.ReadDir(parent)
			if err != nil || len(entries) != 3 {
				t.Errorf("it leaves %v, %v", entries, err)
			}
			forget(t, parent)
		})
	}
}

// TestAFailureWhileMovingAsideLeavesEverythingAsItWas fails at every point, with one directory and with three of which two exist.
func TestAFailureWhileMovingAsideLeavesEverythingAsItWas(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	boom := errors.New("boom")
	setting := func(t *testing.T, all bool) (parent string, p Plan) {
		parent = t.TempDir()
		if p = s.plan(filepath.Join(parent, "out")); all {
			occupied(t, filepath.Join(p.Out, "m1"))
			occupied(t, filepath.Join(p.Out, "m3"))
		} else {
			p.Out, p.Only, p.DataDir = "", "m1", filepath.Join(parent, "m1")
			occupied(t, p.DataDir)
		}
		p.MoveAside = true
		return parent, p
	}
	for _, all := range []bool{false, true} {
		for _, plain := range []bool{false, true} {
			w := &witness{}
			d := s.deps()
			d.at, d.plain = w.at, plain
			parent, p := setting(t, all)
			mustRun(t, p, d)
			forget(t, parent)
			points := slices.DeleteFunc(w.points, func(p string) bool {
				return !strings.HasPrefix(p, "aside") && !strings.HasPrefix(p, "move") && p != "complete"
			})
			if want := map[bool]int{false: 5, true: 10}[all]; len(points) != want {
				t.Errorf("%d points, want %d: %v", len(points), want, points)
			}
			for _, point := range points {
				parent, p := setting(t, all)
				before := tree(t, parent)
				d.at = func(at string) error {
					if at == point {
						return boom
					}
					return nil
				}
				if _, err := Run(t.Context(), p, d); !errors.Is(err, boom) {
					t.Errorf("%s: got %v", point, err)
				}
				if after := tree(t, parent); after != before {
					t.Errorf("%s: it leaves\n%s", point, after)
				}
				wantOld(t, parent, "m1")
				forget(t, parent)
			}
		}
	}
}

// TestAKillWhileMovingAsideKeepsBoth kills a restore at each of its last points: what stood there is somewhere, whole, and in its place
// stands that or a complete new one. The next restore moves on, and touches none of it.
func TestAKillWhileMovingAsideKeepsBoth(t *testing.T) {
	t.Parallel()
	g := newGallows(t)
	for _, point := range []string{"complete", "aside 1 of m1", "aside 2 of m1", "aside 3 of m1", "move 1", "aside 2 of m3", "move 3"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			out := filepath.Join(parent, "out")
			occupied(t, filepath.Join(out, "m1"))
			occupied(t, filepath.Join(out, "m3"))
			s := g.text
			s.Out, s.Aside, s.KillAt = out, true, point
			if killed, last := g.run(t, s, "", 0); !killed {
				t.Fatalf("it was not killed at %s but ended after %s", point, last)
			}
			check := func() {
				t.Helper()
				for _, m := range []string{"m1", "m3"} {
					if dir := filepath.Join(out, m); !slices.Contains(wantOld(t, parent, m), dir) {
						g.wantComplete(t, dir)
					}
				}
			}
			check()
			p := g.plan(out)
			p.MoveAside = true
			res := mustRun(t, p, g.deps())
			check()
			for _, m := range res.Members {
				g.wantComplete(t, m.Dir)
			}
			if err := p.Resolve(); point == "aside 2 of m1" && (err != nil || !strings.Contains(strings.Join(p.Attention, "\n"), ".exchanged-")) {
				t.Errorf("what the killed one has left is not told of: %q, %v", p.Attention, err)
			}
			forget(t, parent)
		})
	}
}

func TestWhatMayNotBeMovedAsideIsRefused(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	hold := func(t *testing.T, dir string, how int) *os.File {
		occupied(t, dir)
		f, err := os.OpenFile(filepath.Join(dir, "member", "snap", "db"), os.O_RDWR, 0)
		if err == nil && how != 0 {
			err = unix.Flock(int(f.Fd()), how)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	for name, c := range map[string]struct {
		set  func(t *testing.T, dir string)
		says string
	}{
		"a link":        {func(t *testing.T, dir string) { occupied(t, dir+"-real"); _ = os.Symlink(dir+"-real", dir) }, "is a link"},
		"a file":        {touch, "is a file"},
		"other things":  {func(t *testing.T, dir string) { mkdir(t, dir, "photographs") }, "something else than the data of an etcd"},
		"in a member":   {func(t *testing.T, dir string) { mkdir(t, filepath.Dir(dir), "member", "wal"); occupied(t, dir) }, "would lie inside"},
		"a locked file": {func(t *testing.T, dir string) { hold(t, dir, unix.LOCK_EX) }, "is in use by a process that cannot be seen"},
		"an open file": {func(t *testing.T, dir string) {
			cmd := &exec.Cmd{Path: sleep, Args: []string{"sleep", "60"}, ExtraFiles: []*os.File{hold(t, dir, 0)}}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		}, "(sleep): it cannot be moved aside"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			p := s.plan("")
			p.Only, p.DataDir, p.MoveAside = "m1", filepath.Join(parent, "etcd"), true
			c.set(t, p.DataDir)
			before := tree(t, parent)
			_, err := Run(t.Context(), p, s.deps())
			var r *Refusal
			if !errors.As(err, &r) || !strings.Contains(r.What, c.says) || r.Safe == "" {
				t.Errorf("got %v %+v", err, r)
			}
			if after := tree(t, parent); after != before {
				t.Errorf("it leaves\n%s", after)
			}
		})
	}
	p := s.plan("")
	p.Only, p.DataDir = "m1", t.TempDir()
	occupied(t, p.DataDir)
	var r *Refusal
	if err := p.Check(t.Context(), taken, s.ids); !errors.As(err, &r) || !strings.Contains(r.Hint(), "--move-aside") {
		t.Errorf("without the flag: %v %+v", err, r)
	}
}

// TestAnEtcdThatStartsMeanwhileKeepsItsDirectory has the directory taken after every refusal was considered.
func TestAnEtcdThatStartsMeanwhileKeepsItsDirectory(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	parent := t.TempDir()
	p := s.plan("")
	p.Only, p.DataDir, p.MoveAside = "m1", filepath.Join(parent, "etcd"), true
	occupied(t, p.DataDir)
	before := tree(t, parent)
	d := s.deps()
	d.at = func(point string) error {
		if point != "complete" {
			return nil
		}
		f, err := os.Open(filepath.Join(p.DataDir, "member", "snap", "db"))
		if err == nil {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
			t.Cleanup(func() { _ = f.Close() })
		}
		return err
	}
	var r *Refusal
	if _, err := Run(t.Context(), p, d); !errors.As(err, &r) || tree(t, parent) != before {
		t.Errorf("got %v, and it leaves\n%s", err, tree(t, parent))
	}
}
