package gcs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/gcs"
)

var errReset = fmt.Errorf("read tcp 127.0.0.1: %w", syscall.ECONNRESET)

// answers makes a response out of nothing.
func answers(req *http.Request, status int, reason, message string, header ...string) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
	text := fmt.Sprintf(`{"error": {"code": %d, "message": %q, "errors": [{"reason": %q, "message": %q}]}}`, status, message, reason, message)
	resp := &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: req,
	}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp, nil
}

// hang waits for the request to be given up.
func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// lose lets a request take effect and loses the answer.
func lose(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	resp, err := send(req)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return nil, errors.Join(errReset, err, resp.Body.Close())
}

func putFaultTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"an upload whose answer was lost but whose key another took fails": func(t *testing.T, p place) {
			other := content(3, 100)
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if callName(req) == "put" {
					_ = put(t.Context(), p.sink(t, nil), "a", other) // the second time it is there already
					return lose(req, send)
				}
				return send(req)
			}, func(o *gcs.Options) { o.Patience = time.Second })
			if err := put(t.Context(), s, "a", content(4, 100)); !errors.Is(err, fs.ErrExist) {
				t.Errorf("put says: %v", err)
			}
			p.holds(t, "a", other)
		},
		"a body that fails when it is sent leaves nothing": func(t *testing.T, p place) {
			for _, n := range []int64{0, chunk + 1, 2*chunk - 1} {
				name := fmt.Sprint("broken-", n)
				body := &flaky{ReaderAt: bytes.NewReader(content(5, 2*chunk)), left: n}
				began := time.Now()
				if err := p.sink(t, nil).Put(t.Context(), name, body, 2*chunk); !errors.Is(err, errFlaky) {
					t.Errorf("put of a body that fails after %d bytes says: %v", n, err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("a body that cannot be read was retried for %v", took)
				}
				p.leavesNothing(t, name)
			}
		},
		"an upload whose session is lost begins again": func(t *testing.T, p place) {
			var seen calls
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if name, nth := seen.add(req); name == "chunk" && nth == 2 {
					return answers(req, http.StatusGone, "backendError", "upload session lost")
				}
				return send(req)
			}, nil)
			body := content(6, 3*chunk+1)
			mustPut(t, s, "a", body)
			p.holds(t, "a", body)
			if n := seen.count("begin"); n != 2 {
				t.Errorf("%d uploads were begun", n)
			}
			if n := seen.count("abort"); n != 1 {
				t.Errorf("%d uploads were ended", n)
			}
		},
		"bytes changed on their way are refused and leave nothing": testChangedBytes,
		"an answer lost between chunks does no harm":               testLostChunkAnswer,
		"a cancelled upload ends at once and leaves nothing":       testCancelledUpload,
		"a hanging store is given up":                              testHangingStore,
	}
}

// testChangedBytes flips a bit in each kind of request that carries some.
func testChangedBytes(t *testing.T, p place) {
	for _, request := range []string{"put", "chunk", "last chunk"} {
		var seen calls
		s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			if name, nth := seen.add(req); name == request && nth == 1 {
				text, err := io.ReadAll(req.Body)
				if err != nil {
					return nil, err
				}
				// A put has metadata before the content and a boundary after it.
				text[len(text)-min(len(text), 100)] ^= 1
				req.Body = io.NopCloser(bytes.NewReader(text))
			}
			return send(req)
		}, nil)
		size := 2*chunk + 1000
		if request == "put" {
			size = 1000
		}
		var e *sinks.Error
		if err := put(t.Context(), s, request, content(7, size)); !errors.As(err, &e) {
			t.Errorf("%s: put says: %v", request, err)
		}
		if seen.count(request) == 0 {
			t.Errorf("%s: the fault was not exercised", request)
		}
		p.leavesNothing(t, request)
	}
}

// testLostChunkAnswer: Google's store knows from Content-Range that it has the bytes; this server takes them twice. Whatever it
// does, a put that succeeds has stored what it was given, and one that fails nothing.
func testLostChunkAnswer(t *testing.T, p place) {
	var seen calls
	s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
		if name, nth := seen.add(req); name == "chunk" && nth == 1 {
			return lose(req, send)
		}
		return send(req)
	}, nil)
	body := content(8, 3*chunk)
	if err := put(t.Context(), s, "a", body); err != nil {
		p.leavesNothing(t, "a")
		return
	}
	p.holds(t, "a", body)
}

func testCancelledUpload(t *testing.T, p place) {
	for _, request := range []string{"put", "begin", "chunk", "last chunk"} {
		ctx, cancel := context.WithCancel(t.Context())
		var when atomic.Value
		var seen calls
		s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			if name, _ := seen.add(req); name == request {
				when.Store(time.Now())
				cancel()
				return hang(req)
			}
			return send(req)
		}, nil)
		size := 2*chunk + 1
		if request == "put" {
			size = chunk / 2
		}
		err := put(ctx, s, request, content(10, size))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: put says: %v", request, err)
		}
		if began, ok := when.Load().(time.Time); !ok || time.Since(began) > 3*time.Second {
			t.Errorf("%s: it took from %v on to give up", request, began)
		}
		if begun := strings.HasSuffix(request, "chunk"); begun && seen.count("abort") != 1 {
			t.Errorf("%s: the upload was ended %d times", request, seen.count("abort"))
		}
		p.leavesNothing(t, request)
		cancel()
	}
}

func testHangingStore(t *testing.T, p place) {
	for _, request := range []string{"put", "begin", "chunk", "last chunk", "get", "list", "look"} {
		s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			if callName(req) == request {
				return hang(req)
			}
			return send(req)
		}, func(o *gcs.Options) { o.Stall = 200 * time.Millisecond })
		var err error
		began := time.Now()
		switch request {
		case "get":
			_, err = read(t.Context(), s, "x", 0)
		case "list":
			for _, err = range s.List(t.Context(), "") {
			}
		case "look":
			err = s.Delete(t.Context(), "x")
		case "put":
			err = put(t.Context(), s, request, content(11, 1000))
		default:
			err = put(t.Context(), s, request, content(11, 2*chunk+1))
		}
		if !errors.Is(err, sinks.ErrStalled) {
			t.Errorf("%s: %v", request, err)
		}
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("%s: it took %v to notice", request, took)
		}
		p.leavesNothing(t, request)
	}
}

func retryTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"a store may ask for a delay": func(t *testing.T, p place) {
			var seen calls
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if _, nth := seen.add(req); nth == 1 {
					return answers(req, http.StatusTooManyRequests, "rateLimitExceeded", "slow down", "Retry-After", "1")
				}
				return send(req)
			}, nil)
			began := time.Now()
			mustPut(t, s, "a", []byte("x"))
			if took := time.Since(began); took < time.Second {
				t.Errorf("asked to wait a second, the sink waited %v", took)
			}
		},
		"a refusal is not tried again and names the permission": func(t *testing.T, p place) {
			for op, want := range map[string]string{
				"put": "storage.objects.create", "open": "storage.objects.get", "list": "storage.objects.list", "delete": "storage.objects.delete",
			} {
				var seen calls
				s := p.disturbed(t, func(req *http.Request, _ func(*http.Request) (*http.Response, error)) (*http.Response, error) {
					seen.add(req)
					return answers(req, http.StatusForbidden, "forbidden", "someone does not have access")
				}, nil)
				err := everyCall(t, s, op)[op]
				var e *sinks.Error
				if !errors.Is(err, fs.ErrPermission) || errors.Is(err, sinks.ErrLocked) || !errors.As(err, &e) ||
					!strings.Contains(e.Hint, want) || !strings.Contains(e.Hint, p.bucket) {
					t.Errorf("%s says: %v; %+v", op, err, e)
				}
				if n := len(seen.names); n != 1 {
					t.Errorf("%s: it was sent %d times", op, n)
				}
			}
		},
		"patience ends": func(t *testing.T, p place) {
			s := p.disturbed(t, func(req *http.Request, _ func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				return answers(req, http.StatusServiceUnavailable, "backendError", "come back later")
			}, func(o *gcs.Options) { o.Patience = 300 * time.Millisecond })
			for op, err := range everyCall(t, s, "put", "open", "list", "delete") {
				var e *sinks.Error
				if !errors.As(err, &e) || e.Hint == "" || !strings.Contains(err.Error(), "overloaded") {
					t.Errorf("%s says: %v", op, err)
				}
			}
		},
	}
}

func everyRequestTests() map[string]func(*testing.T, place) {
	tests := map[string]func(*testing.T, place){}
	for _, request := range []string{"put", "begin", "last chunk"} {
		tests["an upload whose answer was lost is found out, "+request] = func(t *testing.T, p place) { testLostAnswer(t, p, request) }
	}
	for _, request := range []string{"put", "begin", "chunk", "last chunk", "get", "list", "look", "delete"} {
		tests["a passing failure is overcome, "+request] = func(t *testing.T, p place) { testPassingFailure(t, p, request) }
	}
	return tests
}

func testLostAnswer(t *testing.T, p place, request string) {
	body := content(7, 2*chunk+chunk/2)
	if request == "put" {
		body = content(7, chunk/2)
	}
	for name, always := range map[string]bool{"once": false, "always": true} {
		if always && request == "begin" {
			continue // without an upload there is nothing to find out
		}
		var seen calls
		s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			if name, nth := seen.add(req); name == request && (always || nth == 1) {
				return lose(req, send)
			}
			return send(req)
		}, func(o *gcs.Options) { o.Patience = time.Second })
		if err := put(t.Context(), s, name, body); err != nil {
			t.Errorf("answer lost %s: put says: %v", name, err)
			continue
		}
		p.holds(t, name, body)
		if err := put(t.Context(), p.sink(t, nil), name, body); !errors.Is(err, fs.ErrExist) {
			t.Errorf("the put after it says: %v", err)
		}
	}
}

// testPassingFailure fails a request twice, without and with an answer, in every operation.
func testPassingFailure(t *testing.T, p place, request string) {
	var seen calls
	s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
		switch name, nth := seen.add(req); {
		case name == request && nth == 1:
			return nil, errReset
		case name == request && nth == 2:
			return answers(req, http.StatusServiceUnavailable, "backendError", "come back later")
		}
		return send(req)
	}, nil)
	small, large := content(8, 100), content(9, 2*chunk+1)
	mustPut(t, s, "small", small)
	mustPut(t, s, "large", large)
	for key, want := range map[string][]byte{"small": small, "large": large} {
		if got, err := read(t.Context(), s, key, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s reads back as %d bytes, %v", key, len(got), err)
		}
	}
	n := 0
	for _, err := range s.List(t.Context(), "") {
		if n++; err != nil {
			t.Error(err)
		}
	}
	if n != 2 {
		t.Errorf("%d objects are listed", n)
	}
	if err := s.Delete(t.Context(), "small"); err != nil {
		t.Error(err)
	}
	if seen.count(request) < 3 {
		t.Errorf("%s was sent %d times: the fault was not exercised", request, seen.count(request))
	}
}

var errFlaky = errors.New("this body fails on purpose")

// A flaky body fails once a number of bytes was read of it.
type flaky struct {
	io.ReaderAt
	left int64
}

func (f *flaky) ReadAt(p []byte, off int64) (int, error) {
	if atomic.AddInt64(&f.left, -int64(len(p))) < 0 {
		return 0, errFlaky
	}
	return f.ReaderAt.ReadAt(p, off)
}
