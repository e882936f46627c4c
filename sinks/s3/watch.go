package s3

import (
	"context"
	"net/http"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

const (
	// completion is how many times longer than any other request the one that joins parts may take: it moves no bytes, and some
	// stores copy the whole object meanwhile.
	completion = 10

	// lingering is for how long the answer to the beginning of an upload is waited for after the context has ended. A store may carry
	// out what it was asked by somebody who has gone, and only who knows an upload's ID can remove it.
	lingering = 2 * time.Second
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
			ctx, answered := linger(req.Context())
			defer answered()
			req = req.WithContext(ctx)
		}
	}
	return overhttp.Send(w.base, req, window)
}

// linger returns a context that ends some time after ctx, unless there was an answer before.
func linger(ctx context.Context) (longer context.Context, answered func()) {
	longer, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lingering, func() { end(context.Cause(ctx)) }) })
	return longer, func() { stop() }
}
