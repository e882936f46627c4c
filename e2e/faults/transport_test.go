package faults_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/sinks/fault"
)

// A wire carries the requests of one s3 sink and fails the one at an index, or all from it on, the way networks and stores do.
type wire struct {
	base     http.RoundTripper
	at       int64 // -1: never
	way      way
	seen     atomic.Int64
	injected atomic.Int64
}

var errReset = fmt.Errorf("read tcp 127.0.0.1: %w", syscall.ECONNRESET)

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	n := w.seen.Add(1) - 1
	if w.at < 0 || n < w.at || n > w.at && !w.way.lasting {
		return w.base.RoundTrip(req)
	}
	w.injected.Add(1)
	switch w.way.kind {
	case fault.Before:
		return nil, errors.Join(errReset, closeBody(req))
	case fault.Hang:
		<-req.Context().Done()
		return nil, errors.Join(req.Context().Err(), closeBody(req))
	case fault.After:
		resp, err := w.base.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return nil, errors.Join(errReset, err, resp.Body.Close())
	case fault.Short, fault.EOF:
		resp, err := w.base.RoundTrip(req)
		if err == nil {
			end := map[fault.Kind]error{fault.Short: io.ErrUnexpectedEOF, fault.EOF: io.EOF}[w.way.kind]
			resp.Body = &half{ReadCloser: resp.Body, left: resp.ContentLength / 2, end: end}
		}
		return resp, err
	}
	return w.answer(req)
}

// answer makes a store's refusal.
func (w *wire) answer(req *http.Request) (*http.Response, error) {
	a := map[fault.Kind]struct {
		status int
		code   string
	}{
		fault.Forbidden:   {403, "AccessDenied"},
		fault.Conflict:    {409, "ConditionalRequestConflict"},
		fault.Exists:      {412, "PreconditionFailed"},
		fault.Unavailable: {503, "SlowDown"},
		fault.Expired:     {400, "ExpiredToken"},
	}[w.way.kind]
	if req.Body != nil {
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return nil, err
		}
	}
	text := "<Error><Code>" + a.code + "</Code><Message>said the test</Message></Error>"
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)),
	}, closeBody(req)
}

// closeBody does what a transport owes to the body of a request.
func closeBody(req *http.Request) error {
	if req.Body == nil {
		return nil
	}
	return req.Body.Close()
}

// half is an answer that ends in its middle.
type half struct {
	io.ReadCloser
	left int64
	end  error
}

func (h *half) Read(p []byte) (int, error) {
	if h.left <= 0 {
		return 0, h.end
	}
	n, err := h.ReadCloser.Read(p[:min(int64(len(p)), h.left)])
	h.left -= int64(n)
	return n, err
}
