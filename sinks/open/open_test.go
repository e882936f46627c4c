package open_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/open"
)

func TestMalformedURLsAreUsageErrorsThatSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for raw, says := range map[string]string{
		"":                                     "it has no scheme",
		"/backups":                             "it has no scheme",
		"backups":                              "it has no scheme",
		"gs:bucket":                            "it names no bucket",
		"gs:///prefix":                         "it names no bucket",
		"gs://host:9000/bucket":                "characters no bucket has",
		"gs://Bucket":                          "characters no bucket has",
		"gs://b/a//c":                          "the prefix",
		"gs://b?region=x":                      `the parameter "region" is not known`,
		"gs://b?key=hidden":                    `the parameter "key" is not known`,
		"gs://b?endpoint=host:9000":            "the endpoint is not a URL",
		"gs://b?endpoint=https://u:pw@h":       "more than scheme, host and port",
		"gs://b?endpoint=http://h:80":          "without encryption",
		"gs://b?anonymous=maybe":               "anonymous is neither",
		"gs://b?anonymous=":                    "does not have one value",
		"gs://KEY:hidden@b/p":                  "it has credentials in it",
		"http://host/bucket":                   "http:// is not supported",
		"s3:bucket":                            "it names no bucket",
		"s3://":                                "it names no bucket",
		"s3:///prefix":                         "it names no bucket",
		"s3://host:9000/bucket":                "characters no bucket has",
		"s3://b/a//c":                          "the prefix",
		"s3://b/../c":                          "the prefix",
		"s3://b/" + strings.Repeat("a/", 200):  "the prefix",
		"s3://b/p#x":                           "it has a # in it",
		"s3://b?regoin=x":                      `the parameter "regoin" is not known`,
		"s3://b?region=":                       `the parameter "region" does not have one value`,
		"s3://b?region=a&region=b":             `the parameter "region" does not have one value`,
		"s3://b?region=a%20b":                  "the region has characters",
		"s3://b?endpoint=minio:9000":           "the endpoint is not a URL",
		"s3://b?endpoint=ftp://h":              "the endpoint is not a URL",
		"s3://b?endpoint=https://h/path":       "more than scheme, host and port",
		"s3://b?endpoint=https://u:pw@h":       "more than scheme, host and port",
		"s3://b?path-style=maybe":              "path-style is neither",
		"s3://b?a;b":                           "its parameters cannot be read",
		"s3://KEY:hidden@b/p":                  "it has credentials in it",
		"s3://KEY:hid/den@b/p":                 "",
		"s3://b?secret=hidden":                 `the parameter "secret" is not known`,
		"file://backups":                       `it names the host "backups"`,
		"file:///":                             "the root of all files",
		"file:backups":                         "not absolute",
		"file:///backups?create=1":             "takes no parameters",
		"file:///a%00b":                        "zero byte",
		"://":                                  "it is not a URL",
		"s3://b/%zz?endpoint=https://u:hidden": "it is not a URL",
	} {
		s, err := open.URL(t.Context(), raw, open.Options{})
		var e *sinks.Error
		if s != nil || !errors.Is(err, open.ErrUsage) || !errors.As(err, &e) {
			t.Errorf("%q gives %v, %v", raw, s, err)
			continue
		}
		if !strings.Contains(err.Error(), says) || e.Hint == "" && !strings.Contains(raw, "%00") {
			t.Errorf("%q says: %v; hint: %s", raw, err, e.Hint)
		}
		for _, secret := range []string{"hidden", "hid/den", "KEY", "pw@"} {
			if strings.Contains(fmt.Sprint(err, e.Hint), secret) {
				t.Errorf("%q gives a secret away: %v; hint: %s", raw, err, e.Hint)
			}
		}
	}
}

func TestFilesThatCannotBeReadAreUsageErrors(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none")
	for _, o := range []open.Options{{CAFile: none}, {CredentialsFile: none}} {
		for _, raw := range []string{"s3://b", "gs://b"} {
			if s, err := open.URL(t.Context(), raw, o); s != nil || !errors.Is(err, open.ErrUsage) || !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s with %+v gives %v, %v", raw, o, s, err)
			}
		}
	}
}

func TestNamesAreURLsThatOpenTheSameAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for raw, want := range map[string]string{
		"s3://b":       "s3://b",
		"s3://b/":      "s3://b",
		"s3://b/a/b/":  "s3://b/a/b",
		"s3://b/a%20b": "s3://b/a%20b",
		"s3://b?endpoint=https://h:9000/&region=eu-central-1": "s3://b?endpoint=https://h:9000&region=eu-central-1",
		"s3://b/p?path-style=0&region=r":                      "s3://b/p?region=r&path-style=false",
		"s3://b/p?path-style=true&endpoint=http://h":          "s3://b/p?endpoint=http://h",
		"gs://b/a/": "gs://b/a",
		"gs://b?endpoint=http://127.0.0.1:1/&anonymous=false": "gs://b?endpoint=http://127.0.0.1:1",
		"gs://b/p?anonymous=1&endpoint=https://h":             "gs://b/p?endpoint=https://h&anonymous=true",
		"gs://b/p?endpoint=https://h":                         "gs://b/p?endpoint=https://h",
		"file://" + dir:                                       "file://" + dir,
		"file://" + dir + "//":                                "file://" + dir,
	} {
		for range 2 {
			s, err := open.URL(t.Context(), raw, open.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if raw = fmt.Sprint(s); raw != want {
				t.Errorf("the name is %s, not %s", raw, want)
			}
		}
	}
}

func TestDirectoriesAreMadeOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "with space", "b")
	raw := "file://" + strings.ReplaceAll(dir, " ", "%20")
	if s, err := open.URL(t.Context(), raw, open.Options{}); s != nil || !errors.Is(err, sinks.ErrNoBucket) || errors.Is(err, open.ErrUsage) {
		t.Errorf("a missing directory gives %v, %v", s, err)
	}
	s, err := open.URL(t.Context(), raw, open.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "a", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err != nil {
		t.Error(err)
	}
	if name := fmt.Sprint(s); name != raw {
		t.Errorf("the name is %s, not %s", name, raw)
	}
}

func TestKeysAreRelativeToThePrefix(t *testing.T) {
	t.Parallel()
	server := lab.StartMinIO(t)
	bucket := server.Bucket(t)
	o := open.Options{CredentialsFile: server.CredentialsFile}
	whole, err := open.URL(t.Context(), server.SinkURL(bucket), o)
	if err != nil {
		t.Fatal(err)
	}
	below, err := open.URL(t.Context(), strings.Replace(server.SinkURL(bucket), "?", "/pre/fix?", 1), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := below.Put(t.Context(), "a/b", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	if err := whole.Put(t.Context(), "pre/fixed", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	for s, want := range map[sinks.Sink]string{whole: "pre/fix/a/b pre/fixed ", below: "a/b "} {
		got := ""
		for object, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			got += object.Key + " "
		}
		if got != want {
			t.Errorf("%s lists %q, not %q", s, got, want)
		}
	}
}
