package file

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Uploads implements [sinks.Unfinished]: the temporary files that killed puts have left, where the file system has no files
// without names. The key of each is its own path, and the prefix has to hold of that.
func (s *Sink) Uploads(ctx context.Context, prefix string) iter.Seq2[sinks.Upload, error] {
	return func(yield func(sinks.Upload, error) bool) {
		if err := s.uploads(ctx, prefix, yield); err != nil && !errors.Is(err, errEnough) {
			yield(sinks.Upload{}, s.fail("list", prefix, err))
		}
	}
}

func (s *Sink) uploads(ctx context.Context, prefix string, yield func(sinks.Upload, error) bool) error {
	if err := errors.Join(sinks.CheckPrefix(prefix), ctx.Err()); err != nil {
		return err
	}
	root, err := s.root()
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(at string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // gone meanwhile
		case d != nil && d.IsDir() && at == "lost+found":
			return fs.SkipDir
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() && at != "." && !strings.HasPrefix(at+"/", prefix) && !strings.HasPrefix(prefix, at+"/"):
			return fs.SkipDir
		case !d.Type().IsRegular() || !strings.HasPrefix(d.Name(), tempPrefix) || !strings.HasPrefix(at, prefix):
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !yield(sinks.Upload{Key: at, ID: d.Name(), Started: info.ModTime()}, nil) {
			return errEnough
		}
		return nil
	})
}

// Abort implements [sinks.Unfinished]. It removes nothing but what Uploads yields.
func (s *Sink) Abort(ctx context.Context, u sinks.Upload) error {
	return s.fail("delete", u.Key, s.abort(ctx, u))
}

func (s *Sink) abort(ctx context.Context, u sinks.Upload) error {
	dir := path.Dir(u.Key)
	if u.Key != path.Clean(u.Key) || !strings.HasPrefix(path.Base(u.Key), tempPrefix) || dir != "." && sinks.CheckKey(dir) != nil {
		return sinks.Because("this is not an unfinished upload", fs.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := s.root()
	if err != nil {
		return err
	}
	defer root.Close()
	if dir != "." {
		if info, err := lookup(root, dir); err != nil || info == nil {
			return err
		}
	}
	if err := root.Remove(u.Key); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
