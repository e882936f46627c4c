package backup_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

const (
	snapshots = "v1/prod/snapshots/"
	manifests = "v1/prod/manifests/"
)

var errBroken = errors.New("the sink broke")

// A liar is a sink in memory that does something else than it should, or only tells what it is asked for.
type liar struct {
	*mem.Sink
	put  func(ctx context.Context, key string, honest func() error) error
	open func(ctx context.Context, key string, honest func() (io.ReadCloser, error)) (io.ReadCloser, error)
}

func (l *liar) Put(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	honest := func() error { return l.Sink.Put(ctx, key, body, size) }
	if l.put == nil {
		return honest()
	}
	return l.put(ctx, key, honest)
}

func (l *liar) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	honest := func() (io.ReadCloser, error) { return l.Sink.Open(ctx, key, off) }
	if l.open == nil {
		return honest()
	}
	return l.open(ctx, key, honest)
}

// readsBack is a sink that took the payload and gives other bytes of it.
func readsBack(lie func(was []byte) []byte) *liar {
	l := &liar{Sink: mem.New()}
	l.open = func(_ context.Context, key string, honest func() (io.ReadCloser, error)) (io.ReadCloser, error) {
		r, err := honest()
		if err != nil || !strings.HasPrefix(key, snapshots) {
			return r, err
		}
		defer r.Close()
		was, err := io.ReadAll(r)
		return io.NopCloser(bytes.NewReader(lie(was))), err
	}
	return l
}

// refusesToOpen is a sink that takes everything and gives nothing under a prefix.
func refusesToOpen(prefix string) *liar {
	return &liar{Sink: mem.New(), open: func(_ context.Context, key string, honest func() (io.ReadCloser, error)) (io.ReadCloser, error) {
		if strings.HasPrefix(key, prefix) {
			return nil, errBroken
		}
		return honest()
	}}
}

// refusesToPut is a sink that takes nothing under a prefix; it says so after it has taken it, where it only loses its answer.
func refusesToPut(prefix string, answerOnly bool) *liar {
	return &liar{Sink: mem.New(), put: func(_ context.Context, key string, honest func() error) error {
		if !strings.HasPrefix(key, prefix) {
			return honest()
		}
		if answerOnly {
			return errors.Join(errBroken, honest())
		}
		return errBroken
	}}
}

// A watched reader tells of what is read, and how it ended.
type watched struct {
	io.ReadCloser
	read func(n int, err error)
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.read(n, err)
	return n, err
}
