package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// watched sends requests, each under a watchdog from its first byte to the last byte of its response, and tells the operation
// they belong to what became of them.
type watched struct {
	base http.RoundTripper
	s    *Sink
}

// RoundTrip sends a request, when the store is ready for it. A stall is an error matching sinks.ErrStalled, here or from reading
// the body.
func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	op := operationOf(req.Context())
	if err := op.admit(req.Context()); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // as a RoundTripper has to
		}
		return nil, err
	}
	window := w.s.o.Stall
	ctx, cancel := context.WithCancelCause(req.Context())
	dog := sinks.NewWatchdog(window, func() {
		cancel(sinks.Because(fmt.Sprintf("stalled: less than %d KiB in %v", sinks.StallBytes>>10, window), sinks.ErrStalled))
	})
	end := func() { dog.Stop(); cancel(nil) }
	req = req.WithContext(ctx)
	if req.Body != nil {
		req.Body = &counted{ReadCloser: req.Body, dog: dog}
	}
	dog.Resume()
	resp, err := w.base.RoundTrip(req)
	if err != nil {
		err = stallOr(ctx, err)
		end()
		return nil, err
	}
	dog.Pause()
	op.answered(resp)
	resp.Body = &timed{counted: counted{ReadCloser: resp.Body, dog: dog}, ctx: func() context.Context { return ctx }, end: end, op: op}
	return resp, nil
}

// stallOr returns the stall that ended the context, or else err.
func stallOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, sinks.ErrStalled) {
		return cause
	}
	return err
}

// counted tells a watchdog of the bytes read from a body.
type counted struct {
	io.ReadCloser
	dog *sinks.Watchdog
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.dog.Moved(n)
	return n, err
}

// timed is the body of a response. Time counts only while somebody waits for it: decrypting and writing what was read
// may take as long as it likes.
type timed struct {
	counted
	ctx func() context.Context
	end func()
	op  *operation
}

func (t *timed) Read(p []byte) (int, error) {
	// What the transport has buffered it would give even now.
	if ctx := t.ctx(); ctx.Err() != nil {
		err := stallOr(ctx, ctx.Err())
		t.op.read(0, err)
		return 0, err
	}
	t.dog.Resume()
	n, err := t.counted.Read(p)
	t.dog.Pause()
	if err != nil && err != io.EOF {
		err = stallOr(t.ctx(), err)
	}
	t.op.read(n, err)
	return n, err
}

func (t *timed) Close() error {
	err := t.ReadCloser.Close()
	t.end()
	return err
}
