package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Tidy removes a folder and those above it up to the sink's own directory, as far as there is no file in them. [Sink.Delete] never
// does: this is for a folder that nobody else is about to use.
func (s *Sink) Tidy(ctx context.Context, folder string) error {
	if err := errors.Join(sinks.CheckKey(folder), ctx.Err()); err != nil {
		return s.fail("delete", folder, err)
	}
	root, err := s.root()
	if err != nil {
		return s.fail("delete", folder, err)
	}
	defer root.Close()
	return s.fail("delete", folder, tidy(ctx, root, folder))
}

func tidy(ctx context.Context, root *os.Root, folder string) error {
	var folders []string
	err := fs.WalkDir(root.FS(), folder, func(name string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			folders = append(folders, name)
		}
		return errors.Join(err, ctx.Err())
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	slices.Reverse(folders) // what is inside comes first
	for up := path.Dir(folder); up != "."; up = path.Dir(up) {
		folders = append(folders, up)
	}
	for _, name := range folders {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
				return nil
			}
			return err
		}
	}
	return nil
}
