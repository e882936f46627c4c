package gcs_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/gcs"
)

// size is that of what is downloaded.
const size = 5 << 20

func openFaultTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"a download that breaks off is resumed": func(t *testing.T, p place) {
			body := content(12, size)
			mustPut(t, p.sink(t, nil), "a", body)
			for _, off := range []int64{0, 1, size / 2} {
				var seen calls
				s := p.disturbed(t, breaksOff(&seen, func(nth int) int64 { return 1_000_000 }), nil)
				if got, err := read(t.Context(), s, "a", off); err != nil || !bytes.Equal(got, body[off:]) {
					t.Errorf("from %d: %d bytes, %v", off, len(got), err)
				}
				if n := seen.count("get"); n < 3 {
					t.Errorf("from %d: %d requests: nothing broke off", off, n)
				}
			}
		},
		"a download that goes nowhere is given up": func(t *testing.T, p place) {
			mustPut(t, p.sink(t, nil), "a", content(13, size))
			var seen calls
			s := p.disturbed(t, breaksOff(&seen, func(int) int64 { return 1000 }), nil)
			got, err := read(t.Context(), s, "a", 0)
			if !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 4000 {
				t.Errorf("%d bytes, then %v", len(got), err)
			}
			if n := seen.count("get"); n != 4 {
				t.Errorf("%d requests were made, not one and three more", n)
			}
		},
		"an object replaced while it is read is not spliced": func(t *testing.T, p place) {
			mustPut(t, p.sink(t, nil), "a", content(14, size))
			var seen calls
			s := p.disturbed(t, breaksOff(&seen, func(nth int) int64 {
				if nth == 2 {
					return 0
				}
				p.others(t, "a", content(15, size))
				return 100_000
			}), nil)
			got, err := read(t.Context(), s, "a", 0)
			if err == nil || !strings.Contains(err.Error(), "replaced") || !bytes.Equal(got, content(14, size)[:len(got)]) {
				t.Errorf("%d bytes, then %v", len(got), err)
			}
		},
		"a download that hangs is given up": func(t *testing.T, p place) {
			mustPut(t, p.sink(t, nil), "a", content(16, size))
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				resp, err := send(req)
				if err == nil {
					resp.Body = &short{ReadCloser: resp.Body, left: 1000, then: func() error { <-req.Context().Done(); return req.Context().Err() }}
				}
				return resp, err
			}, func(o *gcs.Options) { o.Stall = 200 * time.Millisecond })
			began := time.Now()
			_, err := read(t.Context(), s, "a", 0)
			if took := time.Since(began); !errors.Is(err, sinks.ErrStalled) || took > 5*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		},
		"a trickle is a stall": func(t *testing.T, p place) {
			mustPut(t, p.sink(t, nil), "a", content(17, size))
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				resp, err := send(req)
				if err == nil {
					resp.Body = &trickle{resp.Body}
				}
				return resp, err
			}, func(o *gcs.Options) { o.Stall = 300 * time.Millisecond })
			began := time.Now()
			_, err := read(t.Context(), s, "a", 0)
			if took := time.Since(began); !errors.Is(err, sinks.ErrStalled) || took > 8*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		},
		"a slow reader is no stall": func(t *testing.T, p place) {
			body := content(18, size)
			mustPut(t, p.sink(t, nil), "a", body)
			s := p.sink(t, func(o *gcs.Options) { o.Stall = 300 * time.Millisecond })
			r, err := s.Open(t.Context(), "a", 0)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var got bytes.Buffer
			for range 3 {
				if _, err := io.CopyN(&got, r, 1_000_000); err != nil {
					t.Fatal(err)
				}
				time.Sleep(500 * time.Millisecond)
			}
			if _, err := got.ReadFrom(r); err != nil || !bytes.Equal(got.Bytes(), body) {
				t.Errorf("%d bytes, %v", got.Len(), err)
			}
		},
	}
}

// breaksOff ends the body of the nth download early, after so many bytes; 0 leaves it alone.
func breaksOff(seen *calls, after func(nth int) int64) meddler {
	return func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
		name, nth := seen.add(req)
		resp, err := send(req)
		if err == nil && name == "get" && resp.StatusCode < 300 {
			if n := after(nth); n > 0 {
				resp.Body = &short{ReadCloser: resp.Body, left: n, then: func() error { return io.ErrUnexpectedEOF }}
			}
		}
		return resp, err
	}
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
