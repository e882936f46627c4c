package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// errUnsupported says that a file system cannot do what a publisher needs.
var errUnsupported = errors.New("the file system can neither link nor rename without replacing")

// A publisher makes a file appear whole: it calls fill with an invisible new file and then gives that its name, failing
// with fs.ErrExist if the name is taken. It returns errUnsupported where the file system has not got what it needs.
type publisher func(root *os.Root, dir *os.File, key string, fill func(*os.File) error) error

// Put implements [sinks.Sink].
func (s *Sink) Put(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	if err := errors.Join(sinks.CheckPut(key, size), ctx.Err()); err != nil {
		return s.fail("put", key, err)
	}
	root, err := s.root()
	if err != nil {
		return s.fail("put", key, err)
	}
	defer root.Close()
	return s.fail("put", key, s.put(ctx, root, key, body, size))
}

func (s *Sink) put(ctx context.Context, root *os.Root, key string, body io.ReaderAt, size int64) error {
	if err := makeParents(root, key); err != nil {
		return err
	}
	// Looking first saves a copy; the race is settled when the file gets its name.
	switch info, err := lookup(root, key); {
	case err != nil:
		return err
	case info != nil && info.IsDir():
		return sinks.Because("a directory has this name", fs.ErrInvalid)
	case info != nil:
		return errExists()
	}
	dir, err := root.Open(path.Dir(key))
	if err != nil {
		return err
	}
	defer dir.Close()
	fill := func(f *os.File) error {
		if err := fill(ctx, f, body, size); err != nil {
			return err
		}
		return ctx.Err() // the last moment at which giving up leaves nothing
	}
	err = errUnsupported
	for _, publish := range s.publish {
		if err = publish(root, dir, key, fill); !errors.Is(err, errUnsupported) {
			break
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return errExists()
	}
	if err != nil {
		return err
	}
	if err := syncPath(root, key); err != nil {
		// It would be lost in a power cut, so it must not count as stored.
		return errors.Join(err, root.Remove(key))
	}
	return nil
}

func errExists() error { return sinks.Because("the object exists already", fs.ErrExist) }

// fill writes the body and brings it to the disk.
func fill(ctx context.Context, f *os.File, body io.ReaderAt, size int64) error {
	buf, out := make([]byte, min(size, disk.WritePart)), newPassing(f)
	for off := int64(0); off < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		piece := buf[:min(int64(len(buf)), size-off)]
		if err := sinks.ReadBody(body, piece, off); err != nil {
			return err
		}
		if _, err := out.Write(piece); err != nil {
			return err
		}
		off += int64(len(piece))
	}
	return out.sync()
}

// makeParents makes the directories above key that are missing.
func makeParents(root *os.Root, key string) error {
	for i, r := range key {
		if r != '/' {
			continue
		}
		dir := key[:i]
		if err := root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		info, err := root.Lstat(dir)
		switch {
		case err != nil:
			return err
		case info.Mode().IsRegular():
			return sinks.Because(dir+" is an object, and cannot have others below it", fs.ErrInvalid)
		case !info.IsDir():
			return foreign(dir, info.Mode())
		}
	}
	return nil
}

// syncPath brings the object, once more now that it has its name, and every directory from its own up to the root to the disk: also those that others
// have made a moment ago, and perhaps not flushed yet. For a file that had no name, btrfs may have done nothing before.
func syncPath(root *os.Root, key string) error {
	f, err := root.Open(key)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	for dir := path.Dir(key); ; dir = path.Dir(dir) {
		d, err := root.Open(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(syncDir(d), d.Close()); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
	}
}

// syncDir flushes a directory where the file system knows such a thing; some network file systems do not.
func syncDir(d *os.File) error {
	err := d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// hidden tells whether a name is one of our own, not an object's.
func hidden(name string) bool { return strings.HasPrefix(name, sinks.Reserved) }
