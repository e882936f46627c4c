package s3

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

const (
	// completion is how many times longer than any other request the one that joins parts may take: it moves no bytes, and some
	// stores copy the whole object meanwhile.
	completion = 10

	// lingering is for how long the answer to the beginning of an upload is waited for after the context has ended. A store may carry
	// out what it was asked by somebody who has gone, and that after strays has looked for it. It is a part of cleaning.
	lingering = 1500 * time.Millisecond
)

// watched sends requests, each under a watchdog. It is not an http.Client, so it follows no redirect.
type watched struct {
	base   http.RoundTripper
	window time.Duration
}

// Do sends a request.
func (w *watched) Do(req *http.Request) (*http.Response, error) {
	window := w.window
	if query := req.URL.Query(); req.Method == http.MethodPost {
		switch {
		case query.Has("uploadId"):
			window *= completion
		case query.Has("uploads"):
			return w.begin(req)
		}
	}
	return overhttp.Send(w.base, req, window)
}

// begin sends the request that begins an upload, and lingers until all of the answer was read.
func (w *watched) begin(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err // nobody has asked yet
	}
	ctx, over := linger(req.Context(), lingering)
	resp, err := overhttp.Send(w.base, req.WithContext(ctx), w.window)
	if err != nil {
		over()
		return nil, err
	}
	resp.Body = &answer{resp.Body, over}
	return resp, nil
}

// answer is a body with something to do when it is closed.
type answer struct {
	io.ReadCloser
	over func()
}

func (a *answer) Close() error {
	defer a.over()
	return a.ReadCloser.Close()
}

// linger returns a context that ends some time after ctx does, or never when over is called before.
func linger(ctx context.Context, after time.Duration) (longer context.Context, over func()) {
	longer, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(after, func() { end(context.Cause(ctx)) }) })
	return longer, func() { stop() }
}
