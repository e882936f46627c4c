package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

func failureChecks() []sinks.Check {
	return []sinks.Check{
		check("a body that fails at once leaves nothing", func(ctx context.Context, t trial) error {
			return t.survivesBrokenBody(ctx, func(_, _ int64) int64 { return 0 })
		}),
		check("a body that fails after the first part leaves nothing", func(ctx context.Context, t trial) error {
			return t.survivesBrokenBody(ctx, func(part, _ int64) int64 { return part + 1 })
		}),
		check("a body that fails when read again leaves nothing", func(ctx context.Context, t trial) error {
			return t.survivesBrokenBody(ctx, func(part, size int64) int64 { return size + part + 1 })
		}),
		check("a body shorter than its size leaves nothing", putShortBody),
		check("a put cancelled before it begins leaves nothing", func(ctx context.Context, t trial) error {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			key := t.prefix + "object"
			if err := wants(context.Canceled, t.put(ctx, key, content(1, 100)), "a cancelled put"); err != nil {
				return err
			}
			return t.absent(context.WithoutCancel(ctx), key)
		}),
		check("a put cancelled on its way leaves nothing", putCancelled),
		check("an object appears whole or not at all", putUnseen),
	}
}

// A trap is a body that does something once so many bytes have been read of it, over all readers and passes.
type trap struct {
	io.ReaderAt
	after  int64
	spring func() error

	mu   sync.Mutex
	read int64
}

func (t *trap) ReadAt(p []byte, off int64) (int, error) {
	t.mu.Lock()
	t.read += int64(len(p))
	sprung := t.read > t.after
	t.mu.Unlock()
	if sprung {
		if err := t.spring(); err != nil {
			return 0, err
		}
	}
	return t.ReaderAt.ReadAt(p, off)
}

var errBroken = errors.New("this body breaks on purpose")

// survivesBrokenBody puts a body that fails once the given count of bytes was read, and then a good one in its place.
func (t trial) survivesBrokenBody(ctx context.Context, after func(part, size int64) int64) error {
	key, body := t.prefix+"object", content(6, 2*t.part()+1)
	size := int64(len(body))
	broken := &trap{ReaderAt: bytes.NewReader(body), after: after(t.part(), size), spring: func() error { return errBroken }}
	err := t.Put(ctx, key, broken, size)
	if err == nil && broken.after >= size {
		return t.holds(ctx, key, body) // a sink that reads its bodies once has not met the fault
	}
	if err := wants(errBroken, err, "putting a body that cannot be read"); err != nil {
		return err
	}
	return t.putAfterFailure(ctx, key, body)
}

// putAfterFailure checks that a failed put has left nothing, not even in the way of the next one.
func (t trial) putAfterFailure(ctx context.Context, key string, body []byte) error {
	if err := t.absent(ctx, key); err != nil {
		return err
	}
	if err := t.put(ctx, key, body); err != nil {
		return fmt.Errorf("the put after a failed one: %w", err)
	}
	return t.holds(ctx, key, body)
}

func putShortBody(ctx context.Context, t trial) error {
	for i, size := range []int64{100, t.part() + 100} {
		key, body := fmt.Sprintf("%s%d", t.prefix, i), content(7, size)
		err := t.Put(ctx, key, bytes.NewReader(body[:size-1]), size)
		if err := wants(io.ErrUnexpectedEOF, err, "putting a body that ends a byte early"); err != nil {
			return err
		}
		if err := t.putAfterFailure(ctx, key, body); err != nil {
			return err
		}
	}
	return nil
}

// putCancelled cancels at several points of the way: a sink may read its body more than once.
func putCancelled(ctx context.Context, t trial) error {
	body := content(8, 3*t.part())
	size := int64(len(body))
	for i, after := range []int64{0, size / 2, size + size/2, 2*size + size/2} {
		key := fmt.Sprintf("%s%d", t.prefix, i)
		cancelled, cancel := context.WithCancel(ctx)
		var when time.Time
		var once sync.Once
		slow := &trap{ReaderAt: bytes.NewReader(body), after: after, spring: func() error {
			once.Do(func() { when = time.Now() })
			cancel()
			return nil
		}}
		err := t.Put(cancelled, key, slow, size)
		cancel()
		if err == nil && after >= size {
			continue // it was read less often than that, or it was too late to cancel
		}
		if err := wants(context.Canceled, err, "a put whose context is cancelled"); err != nil {
			return err
		}
		if took := time.Since(when); took > 20*time.Second {
			return fmt.Errorf("a cancelled put returns only after %v", took)
		}
		if err := t.putAfterFailure(ctx, key, body); err != nil {
			return err
		}
	}
	return nil
}

// putUnseen looks for an object while its put is held up in the middle.
func putUnseen(ctx context.Context, t trial) error {
	body := content(9, 2*t.part()+1)
	size := int64(len(body))
	for i, after := range []int64{size / 2, size + size/2} {
		key := fmt.Sprintf("%s%d", t.prefix, i)
		reached, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		held := &trap{ReaderAt: bytes.NewReader(body), after: after, spring: func() error {
			once.Do(func() { close(reached) })
			<-release
			return nil
		}}
		done := make(chan error, 1)
		go func() { done <- t.Put(ctx, key, held, size) }()
		var seen, err error
		select {
		case <-reached:
			seen = t.absent(ctx, key)
			close(release)
			err = <-done
		case err = <-done:
		}
		if err := errors.Join(seen, err); err != nil {
			return err
		}
		if err := t.holds(ctx, key, body); err != nil {
			return err
		}
	}
	return nil
}
