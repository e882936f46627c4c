// Package mem keeps objects in memory, for tests. It holds the whole contract, and refuses nothing a real store takes.
package mem

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// A Sink is a [sinks.Sink] whose objects end with the process.
type Sink struct {
	mu      sync.RWMutex
	objects map[string]object
}

type object struct {
	data []byte // never written to once it is here
	sum  [sha256.Size]byte
	put  time.Time
}

// New returns an empty sink.
func New() *Sink {
	return &Sink{objects: map[string]object{}}
}

// String returns the sink's name in messages.
func (*Sink) String() string { return "memory" }

// Put implements [sinks.Sink].
func (s *Sink) Put(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	if err := sinks.CheckPut(key, size); err != nil {
		return s.fail("put", key, err)
	}
	data, err := readAll(ctx, body, size)
	if err != nil {
		return s.fail("put", key, err)
	}
	o := object{data: data, sum: sha256.Sum256(data), put: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.objects[key]; ok {
		return s.fail("put", key, sinks.Because("the object exists already", fs.ErrExist))
	}
	s.objects[key] = o
	return nil
}

func readAll(ctx context.Context, body io.ReaderAt, size int64) ([]byte, error) {
	const piece = 1 << 20
	data := make([]byte, 0, min(size, piece))
	for off := int64(0); off < size; off = int64(len(data)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := int(min(piece, size-off))
		data = slices.Grow(data, n)[:int(off)+n]
		if err := sinks.ReadBody(body, data[off:], off); err != nil {
			return nil, err
		}
	}
	return data, ctx.Err()
}

// Open implements [sinks.Sink].
func (s *Sink) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	if err := errors.Join(sinks.CheckKey(key), ctx.Err()); err != nil {
		return nil, s.fail("open", key, err)
	}
	s.mu.RLock()
	o, ok := s.objects[key]
	s.mu.RUnlock()
	if !ok {
		return nil, s.fail("open", key, sinks.Because("no such object", fs.ErrNotExist))
	}
	if err := sinks.CheckOffset(off, int64(len(o.data))); err != nil {
		return nil, s.fail("open", key, err)
	}
	data := bytes.NewReader(o.data[off:])
	return io.NopCloser(readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, s.fail("read", key, err)
		}
		return data.Read(p)
	})), nil
}

// List implements [sinks.Sink].
func (s *Sink) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		if err := sinks.CheckPrefix(prefix); err != nil {
			yield(sinks.Object{}, s.fail("list", prefix, err))
			return
		}
		s.mu.RLock()
		objects := maps.Clone(s.objects)
		s.mu.RUnlock()
		for _, key := range slices.Sorted(maps.Keys(objects)) {
			if !strings.HasPrefix(key, prefix) {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield(sinks.Object{}, s.fail("list", prefix, err))
				return
			}
			o := objects[key]
			if !yield(sinks.Object{Key: key, Size: int64(len(o.data)), ModTime: o.put}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(sinks.Object{}, s.fail("list", prefix, err))
		}
	}
}

// Delete implements [sinks.Sink].
func (s *Sink) Delete(ctx context.Context, key string) error {
	if err := errors.Join(sinks.CheckKey(key), ctx.Err()); err != nil {
		return s.fail("delete", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
	return nil
}

// Checksum implements [sinks.Checksummed], as real stores do it: by what arrived, and not by what it reads now.
func (s *Sink) Checksum(ctx context.Context, key string) (sinks.Checksum, error) {
	if err := errors.Join(sinks.CheckKey(key), ctx.Err()); err != nil {
		return sinks.Checksum{}, s.fail("checksum", key, err)
	}
	s.mu.RLock()
	o, ok := s.objects[key]
	s.mu.RUnlock()
	if !ok {
		return sinks.Checksum{}, s.fail("checksum", key, sinks.Because("no such object", fs.ErrNotExist))
	}
	return sinks.Checksum{Size: int64(len(o.data)), Algorithm: sinks.SHA256, Sum: o.sum[:]}, nil
}

func (s *Sink) fail(op, key string, err error) error {
	return &sinks.Error{Op: op, Sink: s.String(), Key: key, Err: err}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
