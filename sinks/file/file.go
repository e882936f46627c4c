// Package file keeps objects as files under one directory, on any file system that can link or rename without replacing.
//
// It never replaces a file, never follows a symbolic link below the directory, and never removes a directory. Files are
// for their owner only (0600, directories 0700).
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// A Sink is a directory. It holds no descriptor between calls, so the directory may be unmounted and come back.
type Sink struct {
	dir     string
	publish []publisher
}

// New returns the sink of an existing directory; a missing one is sinks.ErrNoBucket, because making it could hide that
// a volume is not mounted.
func New(dir string) (*Sink, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, &sinks.Error{Op: "configure", Sink: name(dir), Err: err}
	}
	s := &Sink{dir: abs, publish: publishers()}
	root, err := s.root()
	if err != nil {
		return nil, s.fail("configure", "", err)
	}
	if err := root.Close(); err != nil {
		return nil, s.fail("configure", "", err)
	}
	return s, nil
}

// Create makes the directory (0700) and its missing parents if need be, durably, and returns its sink.
func Create(dir string) (*Sink, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		err = makeDurable(abs)
	}
	if err != nil {
		return nil, (&Sink{dir: dir}).fail("configure", "", err)
	}
	return New(abs)
}

func makeDurable(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDurable(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(d), d.Close())
}

// String returns the sink's URL.
func (s *Sink) String() string { return name(s.dir) }

func name(dir string) string {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}
	return u.String()
}

func (s *Sink) root() (*os.Root, error) {
	root, err := os.OpenRoot(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sinks.Because("the directory does not exist", sinks.ErrNoBucket)
	}
	if err != nil {
		if info, statErr := os.Stat(s.dir); statErr == nil && !info.IsDir() {
			err = sinks.Because("not a directory", sinks.ErrNoBucket)
		}
		return nil, err
	}
	return root, nil
}

// Open implements [sinks.Sink].
func (s *Sink) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	if err := errors.Join(sinks.CheckKey(key), ctx.Err()); err != nil {
		return nil, s.fail("open", key, err)
	}
	f, err := s.open(key, off)
	if err != nil {
		return nil, s.fail("open", key, err)
	}
	return reader{Closer: f, read: func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, s.fail("read", key, err)
		}
		n, err := f.Read(p)
		if err != nil && err != io.EOF {
			err = s.fail("read", key, err)
		}
		return n, err
	}}, nil
}

// A reader shows of a file only reading and closing: with the file's own WriteTo, io.Copy would not notice a cancelled context.
type reader struct {
	io.Closer
	read func(p []byte) (int, error)
}

func (r reader) Read(p []byte) (int, error) { return r.read(p) }

func (s *Sink) open(key string, off int64) (*os.File, error) {
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := lookup(root, key)
	if err != nil {
		return nil, err
	}
	if info == nil || info.IsDir() {
		return nil, sinks.Because("no such object", fs.ErrNotExist)
	}
	if err := sinks.CheckOffset(off, info.Size()); err != nil {
		return nil, err
	}
	f, err := root.Open(key)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Delete implements [sinks.Sink]. Directories stay, for another process may be about to put something there.
func (s *Sink) Delete(ctx context.Context, key string) error {
	if err := errors.Join(sinks.CheckKey(key), ctx.Err()); err != nil {
		return s.fail("delete", key, err)
	}
	return s.fail("delete", key, s.remove(key))
}

func (s *Sink) remove(key string) error {
	root, err := s.root()
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := lookup(root, key)
	if err != nil || info == nil || info.IsDir() {
		return err
	}
	if err := root.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d, err := root.Open(path.Dir(key))
	if err != nil {
		return err
	}
	return errors.Join(syncDir(d), d.Close())
}

// lookup returns what is at key, or nil where nothing can be. Whatever on the way is a symbolic link or otherwise not
// of our making is an error: os.Root would follow a link that stays inside, and show one object under two keys.
func lookup(root *os.Root, key string) (fs.FileInfo, error) {
	for i := range len(key) + 1 {
		if i < len(key) && key[i] != '/' {
			continue
		}
		info, err := root.Lstat(key[:i])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, nil
		case err != nil:
			return nil, err
		case !info.IsDir() && !info.Mode().IsRegular():
			return nil, foreign(key[:i], info.Mode())
		case i == len(key):
			return info, nil
		case !info.IsDir():
			return nil, nil
		}
	}
	return nil, nil
}

func foreign(at string, mode fs.FileMode) error {
	what := "neither a file nor a directory"
	if mode&fs.ModeSymlink != 0 {
		what = "a symbolic link, which is not followed"
	}
	return sinks.Because(at+" is "+what, fs.ErrInvalid)
}

// fail dresses an error; nil stays nil.
func (s *Sink) fail(op, key string, err error) error {
	if err == nil {
		return nil
	}
	hint := ""
	switch {
	case errors.Is(err, sinks.ErrNoBucket):
		hint = "check that the volume of " + s.dir + " is mounted; create the directory if it is new, or leave this sink out"
	case errors.Is(err, fs.ErrPermission):
		hint = "user " + fmt.Sprint(os.Getuid()) + " needs to read and write " + s.dir + " and all below it"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		hint = "free some space where " + s.dir + " lies"
	case errors.Is(err, syscall.EROFS):
		hint = s.dir + " is mounted read-only"
	}
	// The path errors of os repeat the key; keep the reason.
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case strings.Contains(err.Error(), "\n"): // several joined
	case errors.As(err, &pathErr):
		err = pathErr.Err
	case errors.As(err, &linkErr):
		err = linkErr.Err
	}
	return &sinks.Error{Op: op, Sink: s.String(), Key: key, Err: err, Hint: hint}
}
