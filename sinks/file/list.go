package file

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// List implements [sinks.Sink].
func (s *Sink) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		if err := s.list(ctx, prefix, yield); err != nil && !errors.Is(err, errEnough) {
			yield(sinks.Object{}, s.fail("list", prefix, err))
		}
	}
}

// errEnough ends a walk whose caller has seen enough.
var errEnough = errors.New("enough")

func (s *Sink) list(ctx context.Context, prefix string, yield func(sinks.Object, error) bool) error {
	if err := errors.Join(sinks.CheckPrefix(prefix), ctx.Err()); err != nil {
		return err
	}
	root, err := s.root()
	if err != nil {
		return err
	}
	defer root.Close()
	w := &walk{root: root, visit: func(o sinks.Object) error {
		if !yield(o, nil) {
			return errEnough
		}
		return ctx.Err()
	}}
	dir, rest := path.Split(prefix)
	if dir = strings.TrimSuffix(dir, "/"); dir != "" {
		if info, err := lookup(root, dir); err != nil || info == nil || !info.IsDir() {
			return err
		}
	}
	return w.dir(dir, rest)
}

type walk struct {
	root  *os.Root
	visit func(sinks.Object) error
}

// dir visits, in key order, what lies under a directory ("" is the root) in entries beginning with start.
func (w *walk) dir(dir, start string) error {
	entries, err := w.entries(cmp.Or(dir, "."))
	if err != nil {
		return err
	}
	for _, e := range entries {
		key := path.Join(dir, e.Name())
		switch {
		case !strings.HasPrefix(e.Name(), start) || hidden(e.Name()) || sinks.CheckKey(key) != nil:
			continue
		case e.IsDir() && key == "lost+found":
			continue // the sink is the root of a volume; fsck's own directory can only be read by root
		case e.IsDir():
			err = w.dir(key, "")
		case e.Type().IsRegular():
			err = w.file(key)
		case e.Type()&fs.ModeSymlink != 0 && w.isDir(key):
			// What lies behind it would be missing from the list without a word.
			err = foreign(key, e.Type())
		default:
			continue // no Put makes links, pipes or devices: somebody else's, and no object
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isDir reports whether a link leads to a directory, wherever that is.
func (w *walk) isDir(key string) bool {
	info, err := os.Stat(filepath.Join(w.root.Name(), key))
	return err == nil && info.IsDir()
}

// entries reads a directory in the order of the keys below it: what decides is not "a" but "a/", so that a.b comes before a/b.
func (w *walk) entries(dir string) ([]fs.DirEntry, error) {
	d, err := w.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := d.ReadDir(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(order(a), order(b)) })
	return entries, nil
}

func order(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

func (w *walk) file(key string) error {
	info, err := w.root.Lstat(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted since the directory was read
	}
	if err != nil {
		return err
	}
	return w.visit(sinks.Object{Key: key, Size: info.Size(), ModTime: info.ModTime()})
}
