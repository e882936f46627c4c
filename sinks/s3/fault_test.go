package s3_test

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

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

var errReset = fmt.Errorf("read tcp 127.0.0.1: %w", syscall.ECONNRESET)

// answers makes a response out of nothing.
func answers(req *http.Request, status int, code string, header ...string) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
	text := "<Error><Code>" + code + "</Code><Message>said the test</Message></Error>"
	resp := &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: req,
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
	tests := map[string]func(*testing.T, place){
		"an upload whose answer was lost but whose key another took fails": func(t *testing.T, p place) {
			other := content(3, 100)
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if callName(req) == "PutObject" {
					_ = put(t.Context(), p.sink(t, nil), "a", other) // the second time it is there already
					return lose(req, send)
				}
				return send(req)
			}, func(o *s3.Options) { o.Patience = time.Second })
			if err := put(t.Context(), s, "a", content(4, 100)); !errors.Is(err, fs.ErrExist) {
				t.Errorf("put says: %v", err)
			}
			p.holds(t, "a", other)
		},
		"a body that fails when it is sent leaves nothing": func(t *testing.T, p place) {
			p.failsWithItsBody(t, p.sink(t, nil), 0, part+1, 2*part+1, 3*part, 4*part-1) // it is read twice, to sign and to send it
		},
		"a store that wants the whole upload again gets it": func(t *testing.T, p place) {
			var seen calls
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if name, nth := seen.add(req); name == "CompleteMultipartUpload" && nth == 1 {
					return answers(req, 409, "ConditionalRequestConflict")
				}
				return send(req)
			}, nil)
			body := content(6, part+1)
			mustPut(t, s, "a", body)
			p.holds(t, "a", body)
			p.noUnfinished(t, "a")
			if n := seen.count("CreateMultipartUpload"); n != 2 {
				t.Errorf("%d uploads were begun", n)
			}
		},
		"a conflict is tried again": func(t *testing.T, p place) {
			var seen calls
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if name, nth := seen.add(req); name == "PutObject" && nth <= 2 {
					return answers(req, 409, "ConditionalRequestConflict")
				}
				return send(req)
			}, nil)
			mustPut(t, s, "a", []byte("x"))
			p.holds(t, "a", []byte("x"))
		},
		"a store may ask for a delay": func(t *testing.T, p place) {
			var seen calls
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if _, nth := seen.add(req); nth == 1 {
					return answers(req, 503, "SlowDown", "Retry-After", "1")
				}
				return send(req)
			}, nil)
			began := time.Now()
			mustPut(t, s, "a", []byte("x"))
			if took := time.Since(began); took < time.Second {
				t.Errorf("asked to wait a second, the sink waited %v", took)
			}
		},
		"a refusal is not tried again": func(t *testing.T, p place) {
			var seen calls
			s := p.disturbed(t, func(req *http.Request, _ func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				seen.add(req)
				return answers(req, 403, "AccessDenied")
			}, nil)
			if err := put(t.Context(), s, "a", []byte("x")); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("put says: %v", err)
			}
			if n := seen.count("PutObject"); n != 1 {
				t.Errorf("it was sent %d times", n)
			}
		},
		"patience ends": func(t *testing.T, p place) {
			s := p.disturbed(t, func(req *http.Request, _ func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				return answers(req, 503, "ServiceUnavailable")
			}, func(o *s3.Options) { o.Patience = 300 * time.Millisecond })
			began := time.Now()
			err := put(t.Context(), s, "a", []byte("x"))
			if took := time.Since(began); err == nil || took < 300*time.Millisecond || took > 10*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
			var e *sinks.Error
			if !errors.As(err, &e) || e.Hint == "" {
				t.Errorf("there is no hint: %v", err)
			}
		},
		"a cancelled upload ends at once and leaves nothing": testCancelledUpload,
		"a hanging store is given up":                        testHangingStore,
	}
	for _, request := range []string{"PutObject", "CompleteMultipartUpload"} {
		tests["an upload whose answer was lost is found out, "+request] = func(t *testing.T, p place) { testLostAnswer(t, p, request) }
	}
	for _, request := range []string{"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "GetObject", "ListObjects", "DeleteObject"} {
		tests["a passing failure is overcome, "+request] = func(t *testing.T, p place) { testPassingFailure(t, p, request) }
	}
	return tests
}

// failsWithItsBody puts bodies of two parts that fail after so many bytes were read of them.
func (p place) failsWithItsBody(t *testing.T, s sinks.Sink, after ...int64) {
	t.Helper()
	for _, n := range after {
		name := fmt.Sprint("broken-", n)
		body := &flaky{ReaderAt: bytes.NewReader(content(5, 2*part)), left: n}
		began := time.Now()
		if err := s.Put(t.Context(), name, body, 2*part); !errors.Is(err, errFlaky) {
			t.Errorf("put of a body that fails after %d bytes says: %v", n, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("a body that cannot be read was retried for %v", took)
		}
		p.leavesNothing(t, name)
	}
}

func testLostAnswer(t *testing.T, p place, request string) {
	body := content(7, part/2)
	if request == "CompleteMultipartUpload" {
		body = content(7, part+part/2)
	}
	for name, always := range map[string]bool{"once": false, "always": true} {
		var seen calls
		s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			if name, nth := seen.add(req); name == request && (always || nth == 1) {
				return lose(req, send)
			}
			return send(req)
		}, func(o *s3.Options) { o.Patience = time.Second })
		if err := put(t.Context(), s, name, body); err != nil {
			t.Errorf("answer lost %s: put says: %v", name, err)
		}
		p.holds(t, name, body)
		p.noUnfinished(t, name)
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
			return answers(req, 503, "SlowDown")
		}
		return send(req)
	}, nil)
	small, large := content(8, 100), content(9, 2*part+1)
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

func testCancelledUpload(t *testing.T, p place) {
	for _, request := range []string{"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"} {
		ctx, cancel := context.WithCancel(t.Context())
		var when atomic.Value
		s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			if callName(req) == request {
				when.Store(time.Now())
				cancel()
				return hang(req)
			}
			return send(req)
		}, nil)
		size := part + 1
		if request == "PutObject" {
			size = part
		}
		err := put(ctx, s, request, content(10, size))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: put says: %v", request, err)
		}
		if took := time.Since(when.Load().(time.Time)); took > 3*time.Second {
			t.Errorf("%s: it took %v to give up", request, took)
		}
		p.leavesNothing(t, request)
		cancel()
	}
}

func testHangingStore(t *testing.T, p place) {
	for _, request := range []string{"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "GetObject", "ListObjects", "DeleteObject"} {
		s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			if callName(req) == request {
				return hang(req)
			}
			return send(req)
		}, func(o *s3.Options) { o.Stall = 200 * time.Millisecond })
		var err error
		began := time.Now()
		switch request {
		case "GetObject":
			_, err = read(t.Context(), s, "x", 0)
		case "ListObjects":
			for _, err = range s.List(t.Context(), "") {
			}
		case "DeleteObject":
			err = s.Delete(t.Context(), "x")
		case "PutObject":
			err = put(t.Context(), s, request, content(11, 1000))
		default:
			err = put(t.Context(), s, request, content(11, part+1))
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

func openFaultTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"a download that breaks off is resumed": func(t *testing.T, p place) {
			body := content(12, part)
			mustPut(t, p.sink(t, nil), "a", body)
			for _, off := range []int64{0, 1, part / 2} {
				var seen calls
				s := p.disturbed(t, breaksOff(&seen, func(nth int) int64 { return 1_000_000 }), nil)
				if got, err := read(t.Context(), s, "a", off); err != nil || !bytes.Equal(got, body[off:]) {
					t.Errorf("from %d: %d bytes, %v", off, len(got), err)
				}
				if n := seen.count("GetObject"); n < 3 {
					t.Errorf("from %d: %d requests: nothing broke off", off, n)
				}
			}
		},
		"a download that goes nowhere is given up": func(t *testing.T, p place) {
			mustPut(t, p.sink(t, nil), "a", content(13, part))
			var seen calls
			s := p.disturbed(t, breaksOff(&seen, func(int) int64 { return 1000 }), nil)
			got, err := read(t.Context(), s, "a", 0)
			if !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 4000 {
				t.Errorf("%d bytes, then %v", len(got), err)
			}
			if n := seen.count("GetObject"); n != 4 {
				t.Errorf("%d requests were made, not one and three more", n)
			}
		},
		"an object replaced while it is read is not spliced": func(t *testing.T, p place) {
			mustPut(t, p.sink(t, nil), "a", content(14, part))
			var seen calls
			key := "a"
			s := p.disturbed(t, breaksOff(&seen, func(nth int) int64 {
				if nth == 2 {
					return 0
				}
				_, err := p.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &p.bucket, Key: &key, Body: bytes.NewReader(content(15, part))})
				if err != nil {
					t.Error(err)
				}
				return 100_000
			}), nil)
			got, err := read(t.Context(), s, "a", 0)
			if err == nil || !strings.Contains(err.Error(), "replaced") || !bytes.Equal(got, content(14, part)[:len(got)]) {
				t.Errorf("%d bytes, then %v", len(got), err)
			}
		},
		"a download that hangs is given up": func(t *testing.T, p place) {
			mustPut(t, p.sink(t, nil), "a", content(16, part))
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				resp, err := send(req)
				if err == nil {
					resp.Body = &short{ReadCloser: resp.Body, left: 1000, then: func() error { <-req.Context().Done(); return req.Context().Err() }}
				}
				return resp, err
			}, func(o *s3.Options) { o.Stall = 200 * time.Millisecond })
			began := time.Now()
			_, err := read(t.Context(), s, "a", 0)
			if took := time.Since(began); !errors.Is(err, sinks.ErrStalled) || took > 5*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		},
		"a trickle is a stall": func(t *testing.T, p place) {
			mustPut(t, p.sink(t, nil), "a", content(17, part))
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				resp, err := send(req)
				if err == nil {
					resp.Body = &trickle{resp.Body}
				}
				return resp, err
			}, func(o *s3.Options) { o.Stall = 300 * time.Millisecond })
			began := time.Now()
			_, err := read(t.Context(), s, "a", 0)
			if took := time.Since(began); !errors.Is(err, sinks.ErrStalled) || took > 8*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		},
		"a slow reader is no stall": func(t *testing.T, p place) {
			body := content(18, part)
			mustPut(t, p.sink(t, nil), "a", body)
			s := p.sink(t, func(o *s3.Options) { o.Stall = 300 * time.Millisecond })
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
		if err == nil && name == "GetObject" && resp.StatusCode < 300 {
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
