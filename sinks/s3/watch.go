package s3

import (
	"net/http"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

// completion is how many times longer than any other request the one that joins parts may take: it moves no bytes, and some
// stores copy the whole object meanwhile.
const completion = 10

// watched sends requests, each under a watchdog. It is not an http.Client, so it follows no redirect.
type watched struct {
	base   http.RoundTripper
	window time.Duration
}

// Do sends a request.
func (w *watched) Do(req *http.Request) (*http.Response, error) {
	window := w.window
	if query := req.URL.Query(); req.Method == http.MethodPost && query.Has("uploadId") {
		window *= completion
	}
	return overhttp.Send(w.base, req, window)
}
