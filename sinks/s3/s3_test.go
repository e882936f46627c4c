package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

// part is the smallest part a store takes.
const part = 5 << 20

// A place is a bucket of a real server, with what a test needs to make sinks of it and to look behind them.
type place struct {
	*lab.S3
	bucket string
}

// TestAgainstMinIO holds everything that takes a server, which all of it shares; each test has a bucket of its own.
func TestAgainstMinIO(t *testing.T) {
	t.Parallel()
	runAgainst(t, lab.StartMinIO(t),
		contractTests(), uploadTests(), unfinishedTests(), deletionTests(), versionTests(), wrongCredentialsTests(), wrongPlaceTests(), tlsTests(), wrongTLSTests(),
		putFaultTests(), retryTests(), everyRequestTests(), openFaultTests(), slowDownloadTests(), postureTests(), keyTests(), storingTests(), unconditionalTests())
}

// TestAgainstVersityGW does so with what a second server may answer otherwise.
func TestAgainstVersityGW(t *testing.T) {
	t.Parallel()
	runAgainst(t, lab.StartVersityGW(t), contractTests(), unfinishedTests(), deletionTests(), versionTests(), putFaultTests(), everyRequestTests(), storingTests())
}

func runAgainst(t *testing.T, server *lab.S3, groups ...map[string]func(*testing.T, place)) {
	for _, group := range groups {
		for name, run := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t, place{S3: server, bucket: server.Bucket(t)})
			})
		}
	}
}

// sink makes a sink of the place; change may be nil.
func (p place) sink(t *testing.T, change func(o *s3.Options)) *s3.Sink {
	t.Helper()
	o := s3.Options{Bucket: p.bucket, Region: lab.Region, Endpoint: p.URL, CredentialsFile: p.CredentialsFile, PartSize: part, Patience: 20 * time.Second, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if change != nil {
		change(&o)
	}
	s, err := s3.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// disturbed makes a sink all of whose requests go through meddle.
func (p place) disturbed(t *testing.T, meddle meddler, change func(o *s3.Options)) *s3.Sink {
	t.Helper()
	return p.sink(t, func(o *s3.Options) {
		o.Transport = func(base http.RoundTripper) http.RoundTripper { return &meddling{base: base, meddle: meddle} }
		if change != nil {
			change(o)
		}
	})
}

// A meddler may send a request, or not, or lie about what came of it.
type meddler func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error)

type meddling struct {
	base   http.RoundTripper
	meddle meddler
}

func (m *meddling) RoundTrip(req *http.Request) (*http.Response, error) {
	return m.meddle(req, m.base.RoundTrip)
}

// calls names and counts requests.
type calls struct {
	mu    sync.Mutex
	names []string
}

// add notes a request and returns how many of its name there have been, itself included.
func (c *calls) add(req *http.Request) (name string, nth int) {
	name = callName(req)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = append(c.names, name)
	for _, n := range c.names {
		if n == name {
			nth++
		}
	}
	return name, nth
}

func (c *calls) count(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, seen := range c.names {
		if seen == name {
			n++
		}
	}
	return n
}

// callName names a request as the S3 API does.
func callName(req *http.Request) string {
	query := req.URL.Query()
	switch {
	case query.Has("uploads"):
		return map[string]string{"POST": "CreateMultipartUpload", "GET": "ListMultipartUploads"}[req.Method]
	case query.Has("list-type"):
		return "ListObjects"
	case query.Has("uploadId"):
		return map[string]string{"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}[req.Method]
	}
	return map[string]string{"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}[req.Method]
}

func content(seed byte, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

func put(ctx context.Context, s sinks.Sink, key string, body []byte) error {
	return s.Put(ctx, key, bytes.NewReader(body), int64(len(body)))
}

func mustPut(t *testing.T, s sinks.Sink, key string, body []byte) {
	t.Helper()
	if err := put(t.Context(), s, key, body); err != nil {
		t.Fatal(err)
	}
}

func read(ctx context.Context, s sinks.Sink, key string, off int64) ([]byte, error) {
	r, err := s.Open(ctx, key, off)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(r)
	return got, errors.Join(err, r.Close())
}

// holds checks an object, by a sink nobody meddles with.
func (p place) holds(t *testing.T, key string, want []byte) {
	t.Helper()
	got, err := read(t.Context(), p.sink(t, nil), key, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s holds %d other bytes than the %d it should", key, len(got), len(want))
	}
}

// leavesNothing checks that neither an object nor an unfinished upload remains of a failed put.
func (p place) leavesNothing(t *testing.T, key string) {
	t.Helper()
	if _, err := p.sink(t, nil).Open(t.Context(), key, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a failed put, opening the object gives: %v", err)
	}
	p.noUnfinished(t, key)
}

func (p place) noUnfinished(t *testing.T, key string) {
	t.Helper()
	found, err := p.Client().ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: &p.bucket, Prefix: &key})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Uploads) > 0 {
		t.Errorf("%d unfinished uploads remain", len(found.Uploads))
	}
}

func contractTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"the contract": func(t *testing.T, p place) {
			conformtest.Run(t, p.Name, p.sink(t, nil), "")
			p.emptyAfterwards(t)
		},
		"the contract in a bucket with versions": func(t *testing.T, p place) {
			p.bucket = p.VersionedBucket(t)
			conformtest.Run(t, p.Name, p.sink(t, nil), "")
			p.emptyAfterwards(t)
			p.noVersions(t)
		},
		"the races": func(t *testing.T, p place) {
			conformtest.Race(t, p.Name, p.sink(t, nil), "")
			p.emptyAfterwards(t)
		},
		"the contract below a prefix": func(t *testing.T, p place) {
			s := p.sink(t, func(o *s3.Options) { o.Prefix = "/some/where/" })
			cheap := []string{"listing in key order with a dot before a slash", "a prefix is no directory", "listing ends when the caller has enough", "deleting", "impossible keys are refused", "errors tell operation, sink and key", "a put does not replace", "long keys"}
			for _, c := range conform.Checks() {
				if !slices.Contains(cheap, c.Name) {
					continue
				}
				t.Run(c.Name, func(t *testing.T) {
					if err := c.Run(t.Context(), s, "check/"); err != nil {
						t.Error(err)
					}
				})
			}
			mustPut(t, s, "a/b", []byte("x"))
			p.holds(t, "some/where/a/b", []byte("x"))
		},
		"objects that others made are not listed": func(t *testing.T, p place) {
			key := "folder/"
			if _, err := p.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &p.bucket, Key: &key}); err != nil {
				t.Fatal(err)
			}
			mustPut(t, p.sink(t, nil), "folder/a", []byte("x"))
			var keys []string
			for o, err := range p.sink(t, nil).List(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				keys = append(keys, o.Key)
			}
			if !slices.Equal(keys, []string{"folder/a"}) {
				t.Errorf("listed are %q", keys)
			}
		},
	}
}

func uploadTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"parts go up several at a time but not more than allowed": func(t *testing.T, p place) {
			var mu sync.Mutex
			var now, most int
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if callName(req) == "UploadPart" {
					mu.Lock()
					now++
					most = max(most, now)
					mu.Unlock()
					time.Sleep(50 * time.Millisecond)
					defer func() { mu.Lock(); now--; mu.Unlock() }()
				}
				return send(req)
			}, func(o *s3.Options) { o.Parallel = 3 })
			body := content(1, 5*part+1)
			mustPut(t, s, "a", body)
			p.holds(t, "a", body)
			if most != 3 {
				t.Errorf("%d parts were under way at once, not 3", most)
			}
		},
		"payloads are signed where the connection is not encrypted": func(t *testing.T, p place) {
			s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				if sum := req.Header.Get("X-Amz-Content-Sha256"); len(sum) != 64 {
					t.Errorf("%s is sent with the payload digest %q", callName(req), sum)
				}
				return send(req)
			}, nil)
			mustPut(t, s, "a", content(2, part+1))
			mustPut(t, s, "b", content(2, 10))
		},
	}
}

func (p place) emptyAfterwards(t *testing.T) {
	t.Helper()
	for o, err := range p.sink(t, nil).List(t.Context(), "") {
		t.Errorf("left behind: %+v, %v", o, err)
	}
	for u, err := range p.sink(t, nil).Uploads(t.Context(), "") {
		t.Errorf("left behind, unfinished: %+v, %v", u, err)
	}
}
