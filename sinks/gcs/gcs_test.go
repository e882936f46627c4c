package gcs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
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
		contractTests(), faithTests(), lockTests(), wrongPlaceTests(), credentialsTests(), putFaultTests(), retryTests(),
		shared(conformtest.Faults(requests())), shared(conformtest.Retries()), shared(conformtest.Downloads()),
	} {
		for name, run := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t, place{GCS: server, bucket: server.Bucket(t)})
			})
		}
	}
}

func requests() conformtest.Requests {
	return conformtest.Requests{Put: "put", Begin: "begin", Parts: []string{"chunk", "last chunk"}, Get: "get", List: "list", Remove: []string{"look", "delete"}}
}

// shared are tests of every store over HTTP.
func shared(tests map[string]func(*testing.T, conformtest.Store)) map[string]func(*testing.T, place) {
	ours := map[string]func(*testing.T, place){}
	for name, run := range tests {
		ours[name] = func(t *testing.T, p place) { run(t, p.store()) }
	}
	return ours
}

func (p place) store() conformtest.Store {
	return conformtest.Store{
		Requests: requests(), Call: callName, Part: chunk,
		Sink: func(t *testing.T, w conformtest.Way) sinks.Sink {
			t.Helper()
			return p.sink(t, func(o *gcs.Options) {
				o.Stall, o.Patience = w.Stall, w.Patience
				if w.Meddler != nil {
					o.Transport = w.Meddler.Transport
				}
			})
		},
		Busy: func(req *http.Request, header ...string) (*http.Response, error) {
			return answers(req, http.StatusServiceUnavailable, "backendError", "come back later", header...)
		},
		Replace: p.others, LeavesNothing: p.leavesNothing, Tidy: func(*testing.T, string) {},
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
func (p place) disturbed(t *testing.T, meddle conformtest.Meddler, change func(o *gcs.Options)) *gcs.Sink {
	t.Helper()
	return p.sink(t, func(o *gcs.Options) {
		o.Transport = meddle.Transport
		if change != nil {
			change(o)
		}
	})
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

// holds checks an object, by a sink nobody meddles with.
func (p place) holds(t *testing.T, key string, want []byte) {
	t.Helper()
	conformtest.Holds(t, p.sink(t, nil), key, want)
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
		"the store tells a checksum of every object": func(t *testing.T, p place) {
			for _, size := range []int{1, chunk, 3*chunk + 1} {
				key := fmt.Sprint(size)
				conformtest.MustPut(t, p.sink(t, nil), key, conformtest.Content(1, size))
				if told, err := p.sink(t, nil).Checksum(t.Context(), key); err != nil || told.Algorithm != sinks.CRC32C || told.PartSize != 0 {
					t.Errorf("of %d bytes it tells %+v, %v", size, told, err)
				}
			}
		},
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
			conformtest.MustPut(t, s, "a/b", []byte("x"))
			p.holds(t, "some/where/a/b", []byte("x"))
		},
		"objects that others made are not listed": func(t *testing.T, p place) {
			p.others(t, "folder/", nil)
			conformtest.MustPut(t, p.sink(t, nil), "folder/a", []byte("x"))
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
