package gcs

import (
	"io"
	"net/http"

	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

// watched sends requests, each under a watchdog, and tells the operation they belong to what became of them.
type watched struct {
	base http.RoundTripper
	s    *Sink
}

// RoundTrip sends a request, when the store is ready for it.
func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	op := operationOf(req.Context())
	if err := op.admit(req.Context()); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // as a RoundTripper has to
		}
		return nil, err
	}
	resp, err := overhttp.Send(w.base, req, w.s.o.Stall)
	if err != nil {
		return nil, err
	}
	op.answered(resp)
	resp.Body = &noted{ReadCloser: resp.Body, op: op}
	return resp, nil
}

// noted is the body of a response. Its operation takes note of its progress.
type noted struct {
	io.ReadCloser
	op *operation
}

func (n *noted) Read(p []byte) (int, error) {
	moved, err := n.ReadCloser.Read(p)
	n.op.read(moved, err)
	return moved, err
}
