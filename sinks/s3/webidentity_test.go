package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

// as makes this process one that runs under a role, and has no other credentials.
func as(t *testing.T, env []string) {
	t.Helper()
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name)
		}
	}
	t.Setenv("HOME", t.TempDir())
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
}

// slow is a network on which every request takes its time; it notes which access keys were used.
type slow struct {
	base  http.RoundTripper
	delay time.Duration

	mu   sync.Mutex
	keys []string // in the order of their first use
	hook func(request int)
	n    int
}

var accessKey = regexp.MustCompile(`Credential=([^/]+)/`)

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.n++
	n, hook := s.n, s.hook
	if m := accessKey.FindStringSubmatch(r.Header.Get("Authorization")); m != nil && (len(s.keys) == 0 || s.keys[len(s.keys)-1] != m[1]) {
		s.keys = append(s.keys, m[1])
	}
	s.mu.Unlock()
	if hook != nil {
		hook(n)
	}
	select {
	case <-time.After(s.delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return s.base.RoundTrip(r)
}

func roleSink(t *testing.T, server *lab.S3, bucket string, network *slow) *s3.Sink {
	t.Helper()
	pathStyle := true
	s, err := s3.New(t.Context(), s3.Options{
		Bucket: bucket, Endpoint: server.URL, PathStyle: &pathStyle, PartSize: part, Parallel: 1,
		Transport: func(base http.RoundTripper) http.RoundTripper { network.base = base; return network },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parts(t *testing.T, n int) []byte {
	t.Helper()
	body := make([]byte, n*part)
	_, _ = rand.Read(body) // never fails
	return body
}

func TestCredentialsThatExpireDuringAnUploadAreRenewed(t *testing.T) {
	lifetime, uploadParts := 8*time.Second, 3
	if lab.Long() {
		lifetime, uploadParts = 20*time.Second, 6
	}
	issuer := lab.StartIssuer(t)
	server := lab.StartMinIO(t, issuer.MinIO("readwrite")...)
	bucket := server.Bucket(t)
	as(t, issuer.Env(server))
	issuer.Rotate(t, lifetime)
	issuer.Await(t, server)

	network := &slow{delay: lifetime / 3}
	s := roleSink(t, server, bucket, network)
	body := parts(t, uploadParts)
	began := time.Now()
	if err := s.Put(t.Context(), "k", bytes.NewReader(body), int64(len(body))); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	if took < lifetime*3/2 || len(network.keys) < 2 {
		t.Fatalf("the upload took %v with %d access keys: that tests nothing", took, len(network.keys))
	}
	lab.Report(t, "an upload of %v lived through %d credentials of %v", took.Round(time.Second), len(network.keys), lifetime)
}

func TestAnUploadEndsAtOnceWhenItsRoleIsWithdrawn(t *testing.T) {
	issuer := lab.StartIssuer(t)
	server := lab.StartMinIO(t, issuer.MinIO("readwrite")...)
	bucket := server.Bucket(t)
	as(t, issuer.Env(server))
	lifetime := 4 * time.Second
	stop := issuer.Rotate(t, lifetime)
	issuer.Await(t, server)

	network := &slow{delay: lifetime / 3}
	network.hook = func(request int) {
		if request == 2 { // of some ten: the upload is on its way
			stop()
			if err := os.WriteFile(issuer.TokenFile, []byte("withdrawn"), 0o600); err != nil {
				t.Error(err)
			}
		}
	}
	s := roleSink(t, server, bucket, network)
	body := parts(t, 8)
	began := time.Now()
	err := s.Put(t.Context(), "k", bytes.NewReader(body), int64(len(body)))
	if took := time.Since(began); took > 4*lifetime {
		t.Errorf("it took %v to end", took)
	}
	refusal(t, err, "sts:AssumeRoleWithWebIdentity")
}

func TestARoleThatMayNotWriteIsToldWhatItNeeds(t *testing.T) {
	issuer := lab.StartIssuer(t)
	server := lab.StartMinIO(t, issuer.MinIO("readonly")...)
	bucket := server.Bucket(t)
	as(t, issuer.Env(server))
	issuer.Rotate(t, time.Minute)
	issuer.Await(t, server)
	s := roleSink(t, server, bucket, &slow{})
	began := time.Now()
	for _, size := range []int{10, 2*part + 1} {
		err := s.Put(t.Context(), "k", bytes.NewReader(make([]byte, size)), int64(size))
		refusal(t, err, "s3:PutObject")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v to say so", took)
	}
}

// refusal wants an error that names the permission that is missing.
func refusal(t *testing.T, err error, permission string) {
	t.Helper()
	var e *sinks.Error
	if !errors.Is(err, fs.ErrPermission) || !errors.As(err, &e) || errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(e.Hint, permission) {
		t.Errorf("the hint %q of %q does not name %s", e.Hint, err, permission)
	}
}

func TestACredentialsFileIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	server := lab.StartMinIO(t)
	bucket := server.Bucket(t)
	file := lab.WriteCredentials(t, t.TempDir()+"/credentials", "nobody", "no-secret-at-all", "")
	pathStyle := true
	s, err := s3.New(t.Context(), s3.Options{Bucket: bucket, Endpoint: server.URL, Region: lab.Region, PathStyle: &pathStyle, CredentialsFile: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "k", strings.NewReader("x"), 1); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("with wrong credentials: %v", err)
	}
	lab.WriteCredentials(t, file, server.AccessKey, server.SecretKey, "")
	if err := s.Put(t.Context(), "k", strings.NewReader("x"), 1); err != nil {
		t.Fatalf("with the right ones in the same file: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "l", strings.NewReader("x"), 1); err != nil {
		t.Fatalf("while the file is being replaced: %v", err)
	}
}
