package gcs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
	"github.com/lifeboat-dr/lifeboat/sinks/gcs"
)

// chunk is the smallest chunk there is.
const chunk = 256 << 10

// A place is a bucket of a real server, with what a test needs to make sinks of it and to look behind them.
type place struct {
	*lab.GCS
	bucket string
}

// TestAgainstTheGCSServer holds everything that takes a server, which all of it shares; each test has a bucket of its own.
func TestAgainstTheGCSServer(t *testing.T) {
	t.Parallel()
	server := lab.StartGCS(t)
	for _, group := range []map[string]func(*testing.T, place){
		contractTests(), faithTests(), lockTests(), wrongPlaceTests(), credentialsTests(), putFaultTests(), retryTests(), everyRequestTests(), openFaultTests(),
	} {
		for name, run := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t, place{GCS: server, bucket: server.Bucket(t)})
			})
		}
	}
}

// sink makes a sink of the place; change may be nil.
func (p place) sink(t *testing.T, change func(o *gcs.Options)) *gcs.Sink {
	t.Helper()
	o := gcs.Options{Bucket: p.bucket, Endpoint: p.URL, ChunkSize: chunk, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if change != nil {
		change(&o)
	}
	s, err := gcs.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// disturbed makes a sink all of whose requests go through meddle.
func (p place) disturbed(t *testing.T, meddle meddler, change func(o *gcs.Options)) *gcs.Sink {
	t.Helper()
	return p.sink(t, func(o *gcs.Options) {
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

// callName says what a request is for.
func callName(req *http.Request) string {
	query := req.URL.Query()
	_, object, _ := strings.Cut(req.URL.Path, "/o/")
	last := !strings.HasSuffix(req.Header.Get("Content-Range"), "/*")
	switch {
	case req.Method == http.MethodDelete && query.Has("upload_id"):
		return "abort"
	case req.Method == http.MethodDelete:
		return "delete"
	case query.Has("upload_id") && last:
		return "last chunk"
	case query.Has("upload_id"):
		return "chunk"
	case query.Get("uploadType") == "resumable":
		return "begin"
	case req.Method == http.MethodPost:
		return "put"
	case query.Get("alt") == "media":
		return "get"
	case object != "":
		return "look"
	}
	return "list"
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

// leavesNothing checks that no object remains of a failed put.
func (p place) leavesNothing(t *testing.T, key string) {
	t.Helper()
	if _, err := p.sink(t, nil).Open(t.Context(), key, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a failed put, opening the object gives: %v", err)
	}
}

// others puts an object without a sink, over what may be there.
func (p place) others(t *testing.T, key string, body []byte) {
	t.Helper()
	resp, err := http.Post(p.URL+"/upload/storage/v1/b/"+p.bucket+"/o?uploadType=media&name="+url.QueryEscape(key), "text/plain", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

func contractTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"the contract": func(t *testing.T, p place) {
			s := p.sink(t, nil)
			conformtest.Run(t, "fake-gcs-server", s, "")
			for o, err := range s.List(t.Context(), "") {
				t.Errorf("left behind: %+v, %v", o, err)
			}
		},
		"the contract below a prefix": func(t *testing.T, p place) {
			s := p.sink(t, func(o *gcs.Options) { o.Prefix = "/some/where/" })
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
			p.others(t, "folder/", nil)
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
