package conformtest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// size is that of what is downloaded.
const size = 5 << 20

// Downloads break off, hang or trickle, or get at an object that was replaced.
func Downloads() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"a download that breaks off is resumed": func(t *testing.T, p Store) {
			body := Content(12, size)
			MustPut(t, p.usual(t), "a", body)
			for _, off := range []int64{0, 1, size / 2} {
				seen := CallsBy(p.Call)
				s := p.Sink(t, Way{Meddler: p.breaksOff(seen, func(int) int64 { return 1_000_000 })})
				if got, err := Read(t.Context(), s, "a", off); err != nil || !bytes.Equal(got, body[off:]) {
					t.Errorf("from %d: %d bytes, %v", off, len(got), err)
				}
				if n := seen.Count(p.Get); n < 3 {
					t.Errorf("from %d: %d requests: nothing broke off", off, n)
				}
			}
		},
		"a download that goes nowhere is given up": func(t *testing.T, p Store) {
			MustPut(t, p.usual(t), "a", Content(13, size))
			seen := CallsBy(p.Call)
			s := p.Sink(t, Way{Meddler: p.breaksOff(seen, func(int) int64 { return 1000 })})
			got, err := Read(t.Context(), s, "a", 0)
			if !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 4000 {
				t.Errorf("%d bytes, then %v", len(got), err)
			}
			if n := seen.Count(p.Get); n != 4 {
				t.Errorf("%d requests were made, not one and three more", n)
			}
		},
		"an object replaced while it is read is not spliced": func(t *testing.T, p Store) {
			MustPut(t, p.usual(t), "a", Content(14, size))
			s := p.Sink(t, Way{Meddler: p.breaksOff(CallsBy(p.Call), func(nth int) int64 {
				if nth == 2 {
					return 0
				}
				p.Replace(t, "a", Content(15, size))
				return 100_000
			})})
			got, err := Read(t.Context(), s, "a", 0)
			if err == nil || !strings.Contains(err.Error(), "replaced") || !bytes.Equal(got, Content(14, size)[:100_000]) {
				t.Errorf("%d bytes, then %v", len(got), err)
			}
		},
		"a download that hangs is given up": func(t *testing.T, p Store) {
			MustPut(t, p.usual(t), "a", Content(16, size))
			p.stalls(t, 200*time.Millisecond, 5*time.Second, func(req *http.Request, body io.ReadCloser) io.ReadCloser {
				return &short{ReadCloser: body, left: 1000, then: func() error { <-req.Context().Done(); return req.Context().Err() }}
			})
		},
		"a trickle is a stall": func(t *testing.T, p Store) {
			MustPut(t, p.usual(t), "a", Content(17, size))
			p.stalls(t, 300*time.Millisecond, 8*time.Second, func(_ *http.Request, body io.ReadCloser) io.ReadCloser { return &trickle{body} })
		},
		"a slow reader is no stall": func(t *testing.T, p Store) {
			body := Content(18, size)
			MustPut(t, p.usual(t), "a", body)
			r, err := p.Sink(t, Way{Stall: 300 * time.Millisecond}).Open(t.Context(), "a", 0)
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
func (s Store) breaksOff(seen *Calls, after func(nth int) int64) Meddler {
	return func(req *http.Request, send Send) (*http.Response, error) {
		name, nth := seen.Add(req)
		resp, err := send(req)
		if err == nil && name == s.Get && resp.StatusCode < 300 {
			if n := after(nth); n > 0 {
				resp.Body = &short{ReadCloser: resp.Body, left: n, then: func() error { return io.ErrUnexpectedEOF }}
			}
		}
		return resp, err
	}
}

// stalls checks that a download is given up in time whose body comes too slowly.
func (s Store) stalls(t *testing.T, window, limit time.Duration, slow func(*http.Request, io.ReadCloser) io.ReadCloser) {
	t.Helper()
	disturbed := s.Sink(t, Way{Stall: window, Meddler: func(req *http.Request, send Send) (*http.Response, error) {
		resp, err := send(req)
		if err == nil {
			resp.Body = slow(req, resp.Body)
		}
		return resp, err
	}})
	began := time.Now()
	_, err := Read(t.Context(), disturbed, "a", 0)
	if took := time.Since(began); !errors.Is(err, sinks.ErrStalled) || took > limit {
		t.Errorf("after %v: %v", took, err)
	}
}
