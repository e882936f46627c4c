package s3_test

import (
	"bytes"
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
	return map[string]func(*testing.T, place){
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
		"an upload that was removed on its way begins again": func(t *testing.T, p place) {
			var seen calls
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if name, nth := seen.add(req); name == "UploadPart" && nth == 1 {
					key, id := "a", req.URL.Query().Get("uploadId")
					if _, err := p.Client().AbortMultipartUpload(t.Context(), &awss3.AbortMultipartUploadInput{Bucket: &p.bucket, Key: &key, UploadId: &id}); err != nil {
						t.Error(err)
					}
				}
				return send(req)
			}, nil)
			body := content(6, part+1)
			mustPut(t, s, "a", body)
			p.holds(t, "a", body)
			p.noUnfinished(t, "a")
		},
		"an upload never known to have begun leaves nothing": func(t *testing.T, p place) {
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if callName(req) == "CreateMultipartUpload" {
					return lose(req, send)
				}
				return send(req)
			}, func(o *s3.Options) { o.Patience = time.Second })
			if err := put(t.Context(), s, "a", content(6, part+1)); err == nil {
				t.Error("put succeeds")
			}
			p.leavesNothing(t, "a")
		},
		"a cancelled upload ends at once and leaves nothing": testCancelledUpload,
		"a hanging store is given up":                        testHangingStore,
	}
}

func retryTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
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
	}
}

func everyRequestTests() map[string]func(*testing.T, place) {
	tests := map[string]func(*testing.T, place){}
	for _, request := range []string{"PutObject", "CreateMultipartUpload", "CompleteMultipartUpload"} {
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
