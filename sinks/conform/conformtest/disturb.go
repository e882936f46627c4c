package conformtest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrReset is what a connection says that the other side broke off.
var ErrReset = fmt.Errorf("read tcp 127.0.0.1: %w", syscall.ECONNRESET)

// Send sends a request.
type Send func(*http.Request) (*http.Response, error)

// A Meddler may send a request, or not, or lie about what came of it.
type Meddler func(req *http.Request, send Send) (*http.Response, error)

// Transport wraps what carries requests, as providers let themselves be told, so that all go through m.
func (m Meddler) Transport(base http.RoundTripper) http.RoundTripper {
	return &meddling{base: base, meddle: m}
}

type meddling struct {
	base   http.RoundTripper
	meddle Meddler
}

func (m *meddling) RoundTrip(req *http.Request) (*http.Response, error) {
	return m.meddle(req, m.base.RoundTrip)
}

// Answer makes a response out of nothing: a status, a body of a type, and pairs of further headers.
func Answer(req *http.Request, status int, contentType, body string, header ...string) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
	resp := &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp, nil
}

// Hang waits for the request to be given up.
func Hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// Lose lets a request take effect and loses the answer.
func Lose(req *http.Request, send Send) (*http.Response, error) {
	resp, err := send(req)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return nil, errors.Join(ErrReset, err, resp.Body.Close())
}

// Calls names and counts requests.
type Calls struct {
	name func(*http.Request) string

	mu    sync.Mutex
	names []string
}

// CallsBy counts requests by the names that a function gives them.
func CallsBy(name func(*http.Request) string) *Calls { return &Calls{name: name} }

// Add notes a request and returns how many of its name there have been, itself included.
func (c *Calls) Add(req *http.Request) (name string, nth int) {
	name = c.name(req)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = append(c.names, name)
	return name, c.count(name)
}

// Count returns how many of a name there have been.
func (c *Calls) Count(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count(name)
}

func (c *Calls) count(name string) int {
	n := 0
	for _, seen := range c.names {
		if seen == name {
			n++
		}
	}
	return n
}

// All returns how many there have been.
func (c *Calls) All() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.names)
}

// A short body ends early, in some way.
type short struct {
	io.ReadCloser
	left int64
	then func() error
}

func (s *short) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, s.then()
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}

// A trickle gives a byte at a time.
type trickle struct{ io.ReadCloser }

func (t *trickle) Read(p []byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return t.ReadCloser.Read(p[:1])
}

// ErrFlaky is what a flaky body says.
var ErrFlaky = errors.New("this body fails on purpose")

// Flaky makes a body that fails once a number of bytes was read of it.
func Flaky(body io.ReaderAt, left int64) io.ReaderAt { return &flaky{body, left} }

type flaky struct {
	io.ReaderAt
	left int64
}

func (f *flaky) ReadAt(p []byte, off int64) (int, error) {
	if atomic.AddInt64(&f.left, -int64(len(p))) < 0 {
		return 0, ErrFlaky
	}
	return f.ReaderAt.ReadAt(p, off)
}
