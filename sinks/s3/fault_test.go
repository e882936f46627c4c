package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

// answers makes a response out of nothing.
func answers(req *http.Request, status int, code string, header ...string) (*http.Response, error) {
	text := "<Error><Code>" + code + "</Code><Message>said the test</Message></Error>"
	return conformtest.Answer(req, status, "application/xml", text, header...)
}

func putFaultTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"a body that fails when it is sent leaves nothing": func(t *testing.T, p place) {
			p.failsWithItsBody(t, p.sink(t, nil), 0, part+1, 2*part+1, 3*part, 4*part-1) // it is read twice, to sign and to send it
		},
		"a store that wants the whole upload again gets it": func(t *testing.T, p place) {
			seen := conformtest.CallsBy(callName)
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				if name, nth := seen.Add(req); name == "CompleteMultipartUpload" && nth == 1 {
					return answers(req, 409, "ConditionalRequestConflict")
				}
				return send(req)
			}, nil)
			body := conformtest.Content(6, part+1)
			conformtest.MustPut(t, s, "a", body)
			p.holds(t, "a", body)
			p.noUnfinished(t, "a")
			if n := seen.Count("CreateMultipartUpload"); n != 2 {
				t.Errorf("%d uploads were begun", n)
			}
		},
		"an upload that was removed on its way begins again": func(t *testing.T, p place) {
			seen := conformtest.CallsBy(callName)
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				if name, nth := seen.Add(req); name == "UploadPart" && nth == 1 {
					key, id := "a", req.URL.Query().Get("uploadId")
					if _, err := p.Client().AbortMultipartUpload(t.Context(), &awss3.AbortMultipartUploadInput{Bucket: &p.bucket, Key: &key, UploadId: &id}); err != nil {
						t.Error(err)
					}
				}
				return send(req)
			}, nil)
			body := conformtest.Content(6, part+1)
			conformtest.MustPut(t, s, "a", body)
			p.holds(t, "a", body)
			p.noUnfinished(t, "a")
		},
		"an upload never known to have begun leaves nothing": func(t *testing.T, p place) {
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				if callName(req) == "CreateMultipartUpload" {
					return conformtest.Lose(req, send)
				}
				return send(req)
			}, func(o *s3.Options) { o.Patience = time.Second })
			if err := conformtest.Put(t.Context(), s, "a", conformtest.Content(6, part+1)); err == nil {
				t.Error("put succeeds")
			}
			p.leavesNothing(t, "a")
		},
		"a store that hangs in mid-answer holds nobody back who was told to end": func(t *testing.T, p place) {
			ctx, leave := context.WithCancel(t.Context())
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				switch callName(req) {
				case "CreateMultipartUpload":
					time.AfterFunc(100*time.Millisecond, leave)
					resp, err := answers(req, 200, "")
					resp.Body = hanging{req.Context()}
					return resp, err
				case "ListMultipartUploads":
					return conformtest.Hang(req)
				}
				return send(req)
			}, nil)
			began := time.Now()
			if err := conformtest.Put(ctx, s, "a", conformtest.Content(6, part+1)); !errors.Is(err, context.Canceled) {
				t.Errorf("put says: %v", err)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
		},
		"an upload that begins when its caller has gone leaves nothing": func(t *testing.T, p place) {
			ctx, leave := context.WithCancel(t.Context())
			var late sync.WaitGroup
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				if callName(req) != "CreateMultipartUpload" {
					return send(req)
				}
				leave()
				answered := make(chan *http.Response, 1)
				late.Go(func() {
					time.Sleep(300 * time.Millisecond) // a store with much to do
					resp, err := send(req.WithContext(context.WithoutCancel(req.Context())))
					if err != nil {
						t.Error(err)
					}
					answered <- resp
				})
				select {
				case resp := <-answered:
					return resp, nil
				case <-req.Context().Done():
					return nil, req.Context().Err()
				}
			}, nil)
			if err := conformtest.Put(ctx, s, "a", conformtest.Content(6, part+1)); !errors.Is(err, context.Canceled) {
				t.Errorf("put says: %v", err)
			}
			late.Wait()
			p.leavesNothing(t, "a")
		},
	}
}

// hanging is an answer whose body never comes.
type hanging struct{ ctx context.Context }

func (h hanging) Read([]byte) (int, error) { <-h.ctx.Done(); return 0, h.ctx.Err() }
func (hanging) Close() error               { return nil }

func retryTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"a conflict is tried again": func(t *testing.T, p place) {
			seen := conformtest.CallsBy(callName)
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				if name, nth := seen.Add(req); name == "PutObject" && nth <= 2 {
					return answers(req, 409, "ConditionalRequestConflict")
				}
				return send(req)
			}, nil)
			conformtest.MustPut(t, s, "a", []byte("x"))
			p.holds(t, "a", []byte("x"))
		},
		"a refusal is not tried again": func(t *testing.T, p place) {
			seen := conformtest.CallsBy(callName)
			s := p.disturbed(t, func(req *http.Request, _ conformtest.Send) (*http.Response, error) {
				seen.Add(req)
				return answers(req, 403, "AccessDenied")
			}, nil)
			if err := conformtest.Put(t.Context(), s, "a", []byte("x")); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("put says: %v", err)
			}
			if n := seen.Count("PutObject"); n != 1 {
				t.Errorf("it was sent %d times", n)
			}
		},
	}
}

// failsWithItsBody puts bodies of two parts that fail after so many bytes were read of them.
func (p place) failsWithItsBody(t *testing.T, s sinks.Sink, after ...int64) {
	t.Helper()
	for _, n := range after {
		name := fmt.Sprint("broken-", n)
		body := conformtest.Flaky(bytes.NewReader(conformtest.Content(5, 2*part)), n)
		began := time.Now()
		if err := s.Put(t.Context(), name, body, 2*part); !errors.Is(err, conformtest.ErrFlaky) {
			t.Errorf("put of a body that fails after %d bytes says: %v", n, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("a body that cannot be read was retried for %v", took)
		}
		p.leavesNothing(t, name)
	}
}
