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
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
)

// answers makes a response out of nothing.
func answers(req *http.Request, status int, reason, message string, header ...string) (*http.Response, error) {
	text := fmt.Sprintf(`{"error": {"code": %d, "message": %q, "errors": [{"reason": %q, "message": %q}]}}`, status, message, reason, message)
	return conformtest.Answer(req, status, "application/json", text, header...)
}

func putFaultTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"a body that fails when it is sent leaves nothing": func(t *testing.T, p place) {
			for _, n := range []int64{0, chunk + 1, 2*chunk - 1} {
				name := fmt.Sprint("broken-", n)
				body := conformtest.Flaky(bytes.NewReader(conformtest.Content(5, 2*chunk)), n)
				began := time.Now()
				if err := p.sink(t, nil).Put(t.Context(), name, body, 2*chunk); !errors.Is(err, conformtest.ErrFlaky) {
					t.Errorf("put of a body that fails after %d bytes says: %v", n, err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("a body that cannot be read was retried for %v", took)
				}
				p.leavesNothing(t, name)
			}
		},
		"an upload whose session is lost begins again": func(t *testing.T, p place) {
			seen := conformtest.CallsBy(callName)
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				if name, nth := seen.Add(req); name == "chunk" && nth == 2 {
					return answers(req, http.StatusGone, "backendError", "upload session lost")
				}
				return send(req)
			}, nil)
			body := conformtest.Content(6, 3*chunk+1)
			conformtest.MustPut(t, s, "a", body)
			p.holds(t, "a", body)
			if n := seen.Count("begin"); n != 2 {
				t.Errorf("%d uploads were begun", n)
			}
			if n := seen.Count("abort"); n != 1 {
				t.Errorf("%d uploads were ended", n)
			}
		},
		"the session of a cancelled upload is ended": func(t *testing.T, p place) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			seen := conformtest.CallsBy(callName)
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				if name, _ := seen.Add(req); name == "chunk" {
					cancel()
					return conformtest.Hang(req)
				}
				return send(req)
			}, nil)
			if err := conformtest.Put(ctx, s, "a", conformtest.Content(10, 2*chunk+1)); !errors.Is(err, context.Canceled) {
				t.Errorf("put says: %v", err)
			}
			if n := seen.Count("abort"); n != 1 {
				t.Errorf("the upload was ended %d times", n)
			}
		},
		"bytes changed on their way are refused and leave nothing": testChangedBytes,
		"an answer lost between chunks does no harm":               testLostChunkAnswer,
	}
}

// testChangedBytes flips a bit in each kind of request that carries some.
func testChangedBytes(t *testing.T, p place) {
	for _, request := range []string{"put", "chunk", "last chunk"} {
		seen := conformtest.CallsBy(callName)
		s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
			if name, nth := seen.Add(req); name == request && nth == 1 {
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
		if err := conformtest.Put(t.Context(), s, request, conformtest.Content(7, size)); !errors.As(err, &e) {
			t.Errorf("%s: put says: %v", request, err)
		}
		if seen.Count(request) == 0 {
			t.Errorf("%s: the fault was not exercised", request)
		}
		p.leavesNothing(t, request)
	}
}

// testLostChunkAnswer: Google's store knows from Content-Range that it has the bytes; this server takes them twice. Whatever it
// does, a put that succeeds has stored what it was given, and one that fails nothing.
func testLostChunkAnswer(t *testing.T, p place) {
	seen := conformtest.CallsBy(callName)
	s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
		if name, nth := seen.Add(req); name == "chunk" && nth == 1 {
			return conformtest.Lose(req, send)
		}
		return send(req)
	}, nil)
	body := conformtest.Content(8, 3*chunk)
	if err := conformtest.Put(t.Context(), s, "a", body); err != nil {
		p.leavesNothing(t, "a")
		return
	}
	p.holds(t, "a", body)
}

func retryTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"a refusal is not tried again and names the permission": func(t *testing.T, p place) {
			for op, want := range map[string]string{
				"put": "storage.objects.create", "open": "storage.objects.get", "list": "storage.objects.list", "delete": "storage.objects.delete",
			} {
				seen := conformtest.CallsBy(callName)
				s := p.disturbed(t, func(req *http.Request, _ conformtest.Send) (*http.Response, error) {
					seen.Add(req)
					return answers(req, http.StatusForbidden, "forbidden", "someone does not have access")
				}, nil)
				err := conformtest.EveryCall(t, s, op)[op]
				var e *sinks.Error
				if !errors.Is(err, fs.ErrPermission) || errors.Is(err, sinks.ErrLocked) || !errors.As(err, &e) ||
					!strings.Contains(e.Hint, want) || !strings.Contains(e.Hint, p.bucket) {
					t.Errorf("%s says: %v; %+v", op, err, e)
				}
				if n := seen.All(); n != 1 {
					t.Errorf("%s: it was sent %d times", op, n)
				}
			}
		},
	}
}
