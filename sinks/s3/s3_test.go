package s3_test

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
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
		putFaultTests(), retryTests(), postureTests(), keyTests(), storingTests(), checksumTests(), unconditionalTests(),
		shared(conformtest.Faults(requests())), shared(conformtest.Retries()), shared(conformtest.Downloads()))
}

// TestAgainstVersityGW does so with what a second server may answer otherwise.
func TestAgainstVersityGW(t *testing.T) {
	t.Parallel()
	runAgainst(t, lab.StartVersityGW(t), contractTests(), unfinishedTests(), deletionTests(), versionTests(), putFaultTests(), storingTests(), checksumTests(), shared(conformtest.Faults(requests())))
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

func requests() conformtest.Requests {
	return conformtest.Requests{
		Put: "PutObject", Begin: "CreateMultipartUpload", Parts: []string{"UploadPart", "CompleteMultipartUpload"},
		Get: "GetObject", List: "ListObjects", Remove: []string{"DeleteObject"},
	}
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
		Requests: requests(), Call: callName, Part: part,
		Sink: func(t *testing.T, w conformtest.Way) sinks.Sink {
			t.Helper()
			return p.sink(t, func(o *s3.Options) {
				o.Stall, o.Patience = w.Stall, cmp.Or(w.Patience, o.Patience)
				if w.Meddler != nil {
					o.Transport = w.Meddler.Transport
				}
			})
		},
		Busy: func(req *http.Request, header ...string) (*http.Response, error) {
			return answers(req, http.StatusServiceUnavailable, "SlowDown", header...)
		},
		Replace: func(t *testing.T, key string, body []byte) {
			t.Helper()
			if _, err := p.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &p.bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
				t.Error(err)
			}
		},
		LeavesNothing: p.leavesNothing, Tidy: p.noUnfinished,
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
func (p place) disturbed(t *testing.T, meddle conformtest.Meddler, change func(o *s3.Options)) *s3.Sink {
	t.Helper()
	return p.sink(t, func(o *s3.Options) {
		o.Transport = meddle.Transport
		if change != nil {
			change(o)
		}
	})
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

// holds checks an object, by a sink nobody meddles with.
func (p place) holds(t *testing.T, key string, want []byte) {
	t.Helper()
	conformtest.Holds(t, p.sink(t, nil), key, want)
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
			conformtest.MustPut(t, s, "a/b", []byte("x"))
			p.holds(t, "some/where/a/b", []byte("x"))
		},
		"objects that others made are not listed": func(t *testing.T, p place) {
			key := "folder/"
			if _, err := p.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &p.bucket, Key: &key}); err != nil {
				t.Fatal(err)
			}
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

func uploadTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"parts go up several at a time but not more than allowed": func(t *testing.T, p place) {
			var mu sync.Mutex
			var now, most int
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
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
			body := conformtest.Content(1, 5*part+1)
			conformtest.MustPut(t, s, "a", body)
			p.holds(t, "a", body)
			if most != 3 {
				t.Errorf("%d parts were under way at once, not 3", most)
			}
		},
		"payloads are signed where the connection is not encrypted": func(t *testing.T, p place) {
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				if sum := req.Header.Get("X-Amz-Content-Sha256"); len(sum) != 64 {
					t.Errorf("%s is sent with the payload digest %q", callName(req), sum)
				}
				return send(req)
			}, nil)
			conformtest.MustPut(t, s, "a", conformtest.Content(2, part+1))
			conformtest.MustPut(t, s, "b", conformtest.Content(2, 10))
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
