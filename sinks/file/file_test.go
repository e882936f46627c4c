package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
)

func sink(t *testing.T) *Sink {
	t.Helper()
	s, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// onlyNamed is the sink of a file system that has no files without names.
func onlyNamed(s *Sink) *Sink {
	s.publish = []publisher{named}
	return s
}

func put(ctx context.Context, s *Sink, key, body string) error {
	return s.Put(ctx, key, strings.NewReader(body), int64(len(body)))
}

func keys(t *testing.T, s *Sink) []string {
	t.Helper()
	var keys []string
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

// files returns every file below the sink's directory, hidden ones too.
func files(t *testing.T, s *Sink) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(s.dir, func(at string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(s.dir, at)
			found = append(found, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestContractHoldsWithoutUnnamedFiles(t *testing.T) {
	t.Parallel()
	s := onlyNamed(sink(t))
	t.Run("checks", func(t *testing.T) {
		for _, c := range conform.Checks() {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				if err := c.Run(t.Context(), s, ""); err != nil {
					t.Error(err)
				}
			})
		}
	})
	if left := files(t, s); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	for _, s := range []*Sink{sink(t), onlyNamed(sink(t))} {
		if err := put(t.Context(), s, "a/b/c", "x"); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]fs.FileMode{"a": fs.ModeDir | 0o700, "a/b": fs.ModeDir | 0o700, "a/b/c": 0o600} {
			info, err := os.Lstat(filepath.Join(s.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != want {
				t.Errorf("%s has mode %v, not %v", name, info.Mode(), want)
			}
		}
	}
}

func TestSymbolicLinksAreRefused(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := sink(t)
	if err := put(t.Context(), s, "real/file", "x"); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"out": outside, "in": "real", "file-out": outside + "/secret", "file-in": "real/file", "dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(s.dir, link)); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{link, link + "/secret", link + "/file"} {
			_, openErr := s.Open(t.Context(), key, 0)
			for op, err := range map[string]error{"open": openErr, "put": put(t.Context(), s, key, "y"), "delete": s.Delete(t.Context(), key)} {
				if err == nil || !strings.Contains(err.Error(), "symbolic link") && !errors.Is(err, fs.ErrExist) {
					t.Errorf("%s of %s (a link to %s) says: %v", op, key, target, err)
				}
			}
		}
		refused := false
		for o, err := range s.List(t.Context(), link) {
			if refused = err != nil; !refused {
				t.Errorf("behind %s %s is listed", link, o.Key)
			}
		}
		// Behind a link to a directory there may be objects, which must not be missing without a word; others are nobody's.
		if want := link == "out" || link == "in"; refused != want {
			t.Errorf("listing %s is refused: %v", link, refused)
		}
	}
	left := append(files(t, s), files(t, &Sink{dir: outside})...)
	if len(left) != 5+1+1 {
		t.Errorf("something was made or removed: %q", left)
	}
}

func TestWhatIsNeitherFileNorDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	s := sink(t)
	if err := syscall.Mkfifo(filepath.Join(s.dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), "pipe", 0); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("open says: %v", err)
	}
	for o, err := range s.List(t.Context(), "p") { // it is no object, and keeps nobody from listing those
		t.Errorf("list gives %v, %v", o, err)
	}
}

func TestAFileIsNoDirectoryAndADirectoryNoFile(t *testing.T) {
	t.Parallel()
	s := sink(t)
	if err := put(t.Context(), s, "a/b", "x"); err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), s, "a", "x"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("putting over a directory says: %v", err)
	}
	if err := put(t.Context(), s, "a/b/c", "x"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("putting below a file says: %v", err)
	}
	if _, err := s.Open(t.Context(), "a", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening a directory says: %v", err)
	}
}

func TestOldUnfinishedFilesAreRemovedAndYoungOnesAreNot(t *testing.T) {
	t.Parallel()
	s := onlyNamed(sink(t))
	if err := put(t.Context(), s, "d/a", "x"); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"old": 25 * time.Hour, "young": 23 * time.Hour} {
		file := filepath.Join(s.dir, "d", tempPrefix+name)
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if got := keys(t, s); len(got) != 1 {
		t.Errorf("listed are %q", got)
	}
	if err := put(t.Context(), s, "d/b", "x"); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(files(t, s)); got != "[d/"+tempPrefix+"young d/a d/b]" {
		t.Errorf("the files are %s", got)
	}
}

func TestRenamingDoesNotReplace(t *testing.T) {
	t.Parallel()
	s := sink(t)
	root, err := s.root()
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	dir, err := root.Open(".")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := renameNew(dir, "a", "b"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("renaming onto a file says: %v", err)
	}
	if err := renameNew(dir, "c", "d"); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(files(t, s)); got != "[a b d]" {
		t.Errorf("the files are %s", got)
	}
}

func TestAMissingDirectoryIsAMissingBucket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	_, err := New(dir)
	var e *sinks.Error
	if !errors.Is(err, sinks.ErrNoBucket) || !errors.As(err, &e) || !strings.Contains(e.Hint, dir) {
		t.Errorf("New says: %v", err)
	}
	s, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir); err != nil {
		t.Errorf("the second Create says: %v", err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("it was made as %v, %v", info, err)
	}
	if err := os.Remove(dir); err != nil { // as if the volume went away
		t.Fatal(err)
	}
	_, openErr := s.Open(t.Context(), "a", 0)
	var listErr error
	for _, listErr = range s.List(t.Context(), "") {
	}
	for op, err := range map[string]error{"put": put(t.Context(), s, "a", "x"), "open": openErr, "list": listErr, "delete": s.Delete(t.Context(), "a")} {
		if !errors.Is(err, sinks.ErrNoBucket) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s says: %v", op, err)
		}
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(dir); !errors.Is(err, sinks.ErrNoBucket) || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("New of a file says: %v", err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	s := sink(t)
	for hint, err := range map[string]error{
		"needs to read and write": &fs.PathError{Op: "openat", Path: "a", Err: syscall.EACCES},
		"free some space":         &fs.PathError{Op: "write", Path: "a", Err: syscall.ENOSPC},
		"mounted read-only":       &os.LinkError{Op: "linkat", Old: "a", New: "b", Err: syscall.EROFS},
	} {
		var e *sinks.Error
		if !errors.As(s.fail("put", "k", err), &e) || !strings.Contains(e.Hint, hint) || !strings.HasPrefix(e.Error(), "put k in file://"+s.dir+": ") {
			t.Errorf("%v becomes %v, hint: %s", err, e, e.Hint)
		}
		if strings.Contains(e.Error(), "at a:") {
			t.Errorf("the path is told twice: %v", e)
		}
	}
}

func TestVolumeRootsCanBeListed(t *testing.T) {
	t.Parallel()
	s := sink(t)
	if err := os.MkdirAll(filepath.Join(s.dir, "lost+found", "#123"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), s, "a/lost+found/b", "x"); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, s); len(got) != 1 {
		t.Errorf("listed are %q", got)
	}
}
