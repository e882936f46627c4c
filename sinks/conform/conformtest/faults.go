package conformtest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Faults are those of the way to a store: requests or answers are lost, hang, or are cancelled.
func Faults(r Requests) map[string]func(*testing.T, Store) {
	tests := map[string]func(*testing.T, Store){
		"an upload whose answer was lost but whose key another took fails": func(t *testing.T, p Store) {
			other := Content(3, 100)
			s := p.Sink(t, Way{Patience: time.Second, Meddler: func(req *http.Request, send Send) (*http.Response, error) {
				if p.Call(req) == p.Put {
					_ = Put(t.Context(), p.usual(t), "a", other) // the second time it is there already
					return Lose(req, send)
				}
				return send(req)
			}})
			if err := Put(t.Context(), s, "a", Content(4, 100)); !errors.Is(err, fs.ErrExist) {
				t.Errorf("put says: %v", err)
			}
			Holds(t, p.usual(t), "a", other)
		},
		"a cancelled upload ends at once and leaves nothing": cancelledUpload,
		"a hanging store is given up":                        hangingStore,
	}
	for _, request := range []string{r.Put, r.Begin, r.Parts[len(r.Parts)-1]} {
		tests["an upload whose answer was lost is found out, "+request] = func(t *testing.T, p Store) { lostAnswer(t, p, request) }
	}
	for _, request := range r.all() {
		tests["a passing failure is overcome, "+request] = func(t *testing.T, p Store) { passingFailure(t, p, request) }
	}
	return tests
}

// Retries wait for a store that has too much to do, as long as it asks or patience lasts.
func Retries() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"a store may ask for a delay": func(t *testing.T, p Store) {
			seen := CallsBy(p.Call)
			s := p.Sink(t, Way{Meddler: func(req *http.Request, send Send) (*http.Response, error) {
				if _, nth := seen.Add(req); nth == 1 {
					return p.Busy(req, "Retry-After", "1")
				}
				return send(req)
			}})
			began := time.Now()
			MustPut(t, s, "a", []byte("x"))
			if took := time.Since(began); took < time.Second {
				t.Errorf("asked to wait a second, the sink waited %v", took)
			}
		},
		"patience ends": func(t *testing.T, p Store) {
			s := p.Sink(t, Way{Patience: 300 * time.Millisecond, Meddler: func(req *http.Request, _ Send) (*http.Response, error) { return p.Busy(req) }})
			for _, op := range []string{"put", "open", "list", "delete"} {
				began := time.Now()
				err := EveryCall(t, s, op)[op]
				if took := time.Since(began); took < 300*time.Millisecond || took > 10*time.Second {
					t.Errorf("%s was given up after %v", op, took)
				}
				var e *sinks.Error
				if !errors.As(err, &e) || e.Hint == "" || !strings.Contains(err.Error(), "overloaded") {
					t.Errorf("%s says: %v", op, err)
				}
			}
		},
	}
}

func lostAnswer(t *testing.T, p Store, request string) {
	body := p.body(7, request)
	for name, always := range map[string]bool{"once": false, "always": true} {
		if always && request == p.Begin {
			continue // without an upload there is nothing to find out
		}
		seen := CallsBy(p.Call)
		s := p.Sink(t, Way{Patience: time.Second, Meddler: func(req *http.Request, send Send) (*http.Response, error) {
			if name, nth := seen.Add(req); name == request && (always || nth == 1) {
				return Lose(req, send)
			}
			return send(req)
		}})
		if err := Put(t.Context(), s, name, body); err != nil {
			t.Errorf("answer lost %s: put says: %v", name, err)
			continue
		}
		if seen.Count(request) == 0 {
			t.Errorf("answer lost %s: the fault was not exercised", name)
		}
		Holds(t, p.usual(t), name, body)
		p.Tidy(t, name)
		if err := Put(t.Context(), p.usual(t), name, body); !errors.Is(err, fs.ErrExist) {
			t.Errorf("the put after it says: %v", err)
		}
	}
}

// passingFailure fails a request twice, without and with an answer, in every operation.
func passingFailure(t *testing.T, p Store, request string) {
	seen := CallsBy(p.Call)
	s := p.Sink(t, Way{Meddler: func(req *http.Request, send Send) (*http.Response, error) {
		switch name, nth := seen.Add(req); {
		case name == request && nth == 1:
			return nil, ErrReset
		case name == request && nth == 2:
			return p.Busy(req)
		}
		return send(req)
	}})
	small, large := Content(8, 100), Content(9, 2*p.Part+1)
	MustPut(t, s, "small", small)
	MustPut(t, s, "large", large)
	for key, want := range map[string][]byte{"small": small, "large": large} {
		if got, err := Read(t.Context(), s, key, 0); err != nil || !bytes.Equal(got, want) {
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
	if seen.Count(request) < 3 {
		t.Errorf("%s was sent %d times: the fault was not exercised", request, seen.Count(request))
	}
}

func cancelledUpload(t *testing.T, p Store) {
	for _, request := range p.uploads() {
		ctx, cancel := context.WithCancel(t.Context())
		var when atomic.Value
		s := p.Sink(t, Way{Meddler: func(req *http.Request, send Send) (*http.Response, error) {
			if p.Call(req) == request {
				when.Store(time.Now())
				cancel()
				return Hang(req)
			}
			return send(req)
		}})
		if err := Put(ctx, s, request, p.body(10, request)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: put says: %v", request, err)
		}
		if began, ok := when.Load().(time.Time); !ok || time.Since(began) > 3*time.Second {
			t.Errorf("%s: it took from %v on to give up", request, began)
		}
		p.LeavesNothing(t, request)
		cancel()
	}
}

func hangingStore(t *testing.T, p Store) {
	MustPut(t, p.usual(t), "x", nil)
	for _, request := range p.all() {
		s := p.Sink(t, Way{Stall: 200 * time.Millisecond, Meddler: func(req *http.Request, send Send) (*http.Response, error) {
			if p.Call(req) == request {
				return Hang(req)
			}
			return send(req)
		}})
		var err error
		began := time.Now()
		switch request {
		case p.Get:
			_, err = Read(t.Context(), s, "x", 0)
		case p.List:
			for _, err = range s.List(t.Context(), "") {
			}
		case p.Remove[0], p.Remove[len(p.Remove)-1]:
			err = s.Delete(t.Context(), "x")
		default:
			err = Put(t.Context(), s, request, p.body(11, request))
		}
		if !errors.Is(err, sinks.ErrStalled) {
			t.Errorf("%s: %v", request, err)
		}
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("%s: it took %v to notice", request, took)
		}
		p.LeavesNothing(t, request)
	}
}
