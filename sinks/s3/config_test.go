package s3_test

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

func TestWrongOptionsAreRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options s3.Options
		says    string
	}{
		"no bucket":                {s3.Options{}, "the bucket has no name"},
		"climbing prefix":          {s3.Options{Bucket: "b", Prefix: "a/../b"}, "the prefix cannot be used"},
		"long prefix":              {s3.Options{Bucket: "b", Prefix: strings.Repeat("a", 255)}, "too long"},
		"negative part size":       {s3.Options{Bucket: "b", PartSize: -1}, "negative"},
		"missing CA file":          {s3.Options{Bucket: "b", CAFile: filepath.Join(dir, "none")}, "CA file"},
		"CA file without any":      {s3.Options{Bucket: "b", CAFile: empty}, "holds no certificate"},
		"missing credentials file": {s3.Options{Bucket: "b", CredentialsFile: filepath.Join(dir, "none")}, "credentials file"},
		"empty credentials file":   {s3.Options{Bucket: "b", CredentialsFile: empty}, "default"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.Transport = func(http.RoundTripper) http.RoundTripper { return unwanted{t} }
			_, err := s3.New(t.Context(), c.options)
			var e *sinks.Error
			if !errors.As(err, &e) || e.Op != "configure" || !strings.Contains(err.Error(), c.says) {
				t.Errorf("New says: %v", err)
			}
		})
	}
}

// unwanted is a transport nobody should use.
type unwanted struct{ t *testing.T }

func (u unwanted) RoundTrip(req *http.Request) (*http.Response, error) {
	u.t.Errorf("%s %s was sent", req.Method, req.URL)
	return nil, errors.New("unwanted")
}

func TestNameIsTheURLWithoutSecrets(t *testing.T) {
	t.Parallel()
	no := false
	for want, o := range map[string]s3.Options{
		"s3://b":                       {Bucket: "b"},
		"s3://b/a/p":                   {Bucket: "b", Prefix: "/a/p/"},
		"s3://b/p?region=eu-central-1": {Bucket: "b", Prefix: "p", Region: "eu-central-1"},
		"s3://b?endpoint=https://h:1&region=r&path-style=false": {Bucket: "b", Endpoint: "https://h:1", Region: "r", PathStyle: &no},
	} {
		s, err := s3.New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if s.String() != want {
			t.Errorf("the name is %s, not %s", s, want)
		}
	}
}

// signedBy returns the access key by which a sink signs, or the error of its first call.
func signedBy(t *testing.T, o s3.Options) (string, error) {
	t.Helper()
	signed := ""
	o.Bucket, o.Region, o.Patience = "b", "r", time.Millisecond
	o.Transport = conformtest.Meddler(func(req *http.Request, _ conformtest.Send) (*http.Response, error) {
		_, rest, _ := strings.Cut(req.Header.Get("Authorization"), "Credential=")
		signed, _, _ = strings.Cut(rest, "/")
		return answers(req, 403, "AccessDenied")
	}).Transport
	s, err := s3.New(t.Context(), o)
	if err != nil {
		return "", err
	}
	return signed, s.Delete(t.Context(), "a")
}

func TestCredentialsFileWinsOverTheEnvironment(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "from-environment")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_PROFILE", "somebody")
	if signed, _ := signedBy(t, s3.Options{CredentialsFile: credentialsFile(t, "from-file", "secret", "")}); signed != "from-file" {
		t.Errorf("with a file requests are signed by %q", signed)
	}
	t.Setenv("AWS_PROFILE", "")
	if signed, _ := signedBy(t, s3.Options{}); signed != "from-environment" {
		t.Errorf("without a file requests are signed by %q", signed)
	}
}

func TestMissingCredentialsAreNamed(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	began := time.Now()
	_, err := signedBy(t, s3.Options{})
	var e *sinks.Error
	if !errors.Is(err, fs.ErrPermission) || !errors.As(err, &e) || !strings.Contains(e.Hint, "AWS_ACCESS_KEY_ID") {
		t.Errorf("the error is: %v", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v to find no credentials", took)
	}
}
