// Package overhttp is what every sink over HTTP needs beside its store's client: requests that are given up when nothing moves,
// patience that runs out, words for what cannot be reached, and a body whose own failure is told from the network's.
package overhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Send sends a request under a watchdog from its first byte to the last byte of its response. A stall is an error matching
// sinks.ErrStalled, here or from reading the body. No redirect is followed.
func Send(base http.RoundTripper, req *http.Request, window time.Duration) (*http.Response, error) {
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
	resp, err := base.RoundTrip(req)
	if err != nil {
		err = stallOr(ctx, err)
		end()
		return nil, err
	}
	dog.Pause()
	resp.Body = &timed{counted: counted{ReadCloser: resp.Body, dog: dog}, ctx: func() context.Context { return ctx }, end: end}
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
}

func (t *timed) Read(p []byte) (int, error) {
	// What the transport has buffered it would give even now.
	if ctx := t.ctx(); ctx.Err() != nil {
		return 0, stallOr(ctx, ctx.Err())
	}
	t.dog.Resume()
	n, err := t.counted.Read(p)
	t.dog.Pause()
	if err != nil && err != io.EOF {
		err = stallOr(t.ctx(), err)
	}
	return n, err
}

func (t *timed) Close() error {
	err := t.ReadCloser.Close()
	t.end()
	return err
}
