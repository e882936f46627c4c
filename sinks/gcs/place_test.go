package gcs_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
	"github.com/lifeboat-dr/lifeboat/sinks/gcs"
)

func wrongPlaceTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"an unknown bucket": func(t *testing.T, p place) {
			s := p.sink(t, func(o *gcs.Options) { o.Bucket = "never-created" })
			conformtest.Fails(t, s, sinks.ErrNoBucket, "the bucket never-created does not exist", "create it")
			if err := conformtest.Put(t.Context(), s, "a", conformtest.Content(1, 3*chunk)); !errors.Is(err, sinks.ErrNoBucket) {
				t.Errorf("a put in chunks says: %v", err)
			}
		},
		"a store that is not there": func(t *testing.T, p place) {
			ports := lab.FreePorts(t, 1)
			s := p.sink(t, func(o *gcs.Options) {
				o.Endpoint = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
				o.Patience = 300 * time.Millisecond
			})
			began := time.Now()
			conformtest.Fails(t, s, nil, "connection refused", "check the endpoint")
			if took := time.Since(began); took > time.Minute {
				t.Errorf("four calls took %v", took)
			}
		},
		"a host that does not exist": func(t *testing.T, p place) {
			s := p.sink(t, func(o *gcs.Options) {
				o.Endpoint, o.Anonymous, o.Patience = "http://store.invalid", true, 300*time.Millisecond
			})
			conformtest.Fails(t, s, nil, "the store cannot be reached", "check the host name")
		},
		"a web server that is no store": func(t *testing.T, p place) {
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
			t.Cleanup(web.Close)
			conformtest.Fails(t, p.sink(t, func(o *gcs.Options) { o.Endpoint = web.URL }), nil, "the store answers with an error (418", "check that the endpoint")
		},
		"a redirect is not followed": func(t *testing.T, p place) {
			var elsewhere atomic.Int32
			other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
			t.Cleanup(other.Close)
			web := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
			t.Cleanup(web.Close)
			conformtest.Fails(t, p.sink(t, func(o *gcs.Options) { o.Endpoint = web.URL }), nil, "sends us elsewhere", "check that the endpoint")
			if n := elsewhere.Load(); n > 0 {
				t.Errorf("%d redirects were followed", n)
			}
		},
		"a store that speaks TLS with a certificate of nobody we know": func(t *testing.T, p place) {
			web := httptest.NewUnstartedServer(http.NotFoundHandler())
			web.Config.ErrorLog = log.New(io.Discard, "", 0)
			web.StartTLS()
			t.Cleanup(web.Close)
			s := p.sink(t, func(o *gcs.Options) { o.Endpoint, o.Anonymous = web.URL, true })
			conformtest.Fails(t, s, nil, "certificate", "CA file")
			file := filepath.Join(t.TempDir(), "ca.crt")
			text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			s = p.sink(t, func(o *gcs.Options) { o.Endpoint, o.Anonymous, o.CAFile = web.URL, true, file })
			conformtest.Fails(t, s, sinks.ErrNoBucket, "does not exist", "create it")
		},
	}
}

// lockTests hold what is known of Google's answers about locked objects: no server that runs here locks any.
func lockTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"removing a locked object is refused as such": func(t *testing.T, p place) {
			conformtest.MustPut(t, p.sink(t, nil), "a/b", []byte("x"))
			for reason, message := range map[string]string{
				"retentionPolicyNotMet": "Object 'b/a/b' is subject to bucket's retention policy or object retention and cannot be deleted or overwritten until 2027-01-01T00:00:00Z",
				"objectUnderActiveHold": "Object 'b/a/b' is under active Temporary hold and cannot be deleted, overwritten or archived until hold is removed.",
				"forbidden":             "Object 'b/a/b' is under active Event-Based hold and cannot be deleted, overwritten or archived until hold is removed.",
			} {
				s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
					if callName(req) == "delete" {
						return answers(req, http.StatusForbidden, reason, message)
					}
					return send(req)
				}, nil)
				err := s.Delete(t.Context(), "a/b")
				var e *sinks.Error
				if !errors.Is(err, sinks.ErrLocked) || !errors.Is(err, fs.ErrPermission) || !errors.As(err, &e) || !strings.Contains(err.Error(), "the object is locked") || e.Hint == "" {
					t.Errorf("%s: delete says: %v", reason, err)
				}
			}
			p.holds(t, "a/b", []byte("x"))
		},
		"what is removed is the version that was found": func(t *testing.T, p place) {
			conformtest.MustPut(t, p.sink(t, nil), "a", []byte("x"))
			var generations []string
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				if callName(req) == "delete" {
					generations = append(generations, req.URL.Query().Get("generation"))
				}
				return send(req)
			}, nil)
			if err := s.Delete(t.Context(), "a"); err != nil {
				t.Error(err)
			}
			if len(generations) != 1 || len(generations[0]) < 5 {
				t.Errorf("removed were the generations %q", generations)
			}
		},
	}
}

// A tokenServer gives out access tokens, or refuses to.
func tokenServer(t *testing.T, lifetime func() (seconds int)) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		seconds := lifetime()
		if seconds == 0 {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprint(w, `{"error": "invalid_grant", "error_description": "account not found"}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"access_token": "token-%d", "token_type": "Bearer", "expires_in": %d}`, n, seconds)
	}))
	t.Cleanup(web.Close)
	return web, &asked
}

// serviceAccount writes the key file of a service account that nobody knows.
func serviceAccount(t *testing.T, tokenURL string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return writeJSON(t, map[string]string{
		"type": "service_account", "project_id": "lab", "private_key_id": "1", "client_email": "lab@lab.iam.gserviceaccount.com", "client_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": tokenURL,
	})
}

func writeJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func credentialsTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"a service account's key is exchanged for a token which every request carries": func(t *testing.T, p place) {
			tokens, asked := tokenServer(t, func() int { return 3600 })
			var seen []string
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				seen = append(seen, req.Header.Get("Authorization"))
				return send(req)
			}, func(o *gcs.Options) { o.CredentialsFile = serviceAccount(t, tokens.URL) })
			conformtest.MustPut(t, s, "a", conformtest.Content(1, 2*chunk+1))
			if asked.Load() != 1 || len(seen) < 3 || slices.ContainsFunc(seen, func(a string) bool { return a != "Bearer token-1" }) {
				t.Errorf("%d tokens were asked for, the requests carried %q", asked.Load(), seen)
			}
		},
		"a token that expires while uploading is replaced": func(t *testing.T, p place) {
			tokens, asked := tokenServer(t, func() int { return 1 }) // within the time in which a token counts as stale
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				time.Sleep(400 * time.Millisecond)
				return send(req)
			}, func(o *gcs.Options) { o.CredentialsFile = serviceAccount(t, tokens.URL) })
			body := conformtest.Content(1, 5*chunk+1)
			conformtest.MustPut(t, s, "a", body)
			p.holds(t, "a", body)
			if n := asked.Load(); n < 2 {
				t.Errorf("%d tokens were asked for", n)
			}
		},
		"a service account that was removed": func(t *testing.T, p place) {
			tokens, _ := tokenServer(t, func() int { return 0 })
			s := p.sink(t, func(o *gcs.Options) { o.CredentialsFile = serviceAccount(t, tokens.URL) })
			conformtest.Fails(t, s, fs.ErrPermission, "no credentials: the token endpoint answers 400", "credentials file")
		},
		"credentials that the store does not accept": func(t *testing.T, p place) {
			s := p.disturbed(t, func(req *http.Request, _ conformtest.Send) (*http.Response, error) {
				return answers(req, http.StatusUnauthorized, "authError", "Invalid Credentials")
			}, nil)
			conformtest.Fails(t, s, fs.ErrPermission, "does not accept the credentials (authError)", "get new ones")
		},
		"an external account's token is exchanged": func(t *testing.T, p place) {
			subject := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(subject, []byte("a token of somebody else"), 0o600); err != nil {
				t.Fatal(err)
			}
			tokens, asked := tokenServer(t, func() int { return 3600 })
			file := writeJSON(t, map[string]any{
				"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
				"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": tokens.URL, "credential_source": map[string]string{"file": subject},
			})
			conformtest.MustPut(t, p.sink(t, func(o *gcs.Options) { o.CredentialsFile = file }), "a", []byte("x"))
			if asked.Load() == 0 {
				t.Error("no token was asked for")
			}
		},
	}
}

func TestMistakesAreFoundOutWithoutTheNetwork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for says, o := range map[string]gcs.Options{
		"the bucket has no name":             {},
		"must not be negative":               {Bucket: "b", Stall: -1},
		"the prefix is too long":             {Bucket: "b", Prefix: strings.Repeat("a", 255)},
		"the prefix cannot be used":          {Bucket: "b", Prefix: "a//b"},
		"exclude each other":                 {Bucket: "b", Anonymous: true, CredentialsFile: "x"},
		"the endpoint is not a URL":          {Bucket: "b", Endpoint: "storage:443"},
		"would be sent to other:80 without":  {Bucket: "b", Endpoint: "http://other:80"},
		"no such file":                       {Bucket: "b", CredentialsFile: filepath.Join(dir, "none")},
		"json is not JSON":                   {Bucket: "b", CredentialsFile: write("not.json", "secret-stuff")},
		"no credentials of a known type":     {Bucket: "b", CredentialsFile: write("type.json", `{"type": "secret-stuff"}`)},
		"it lacks something its type needs":  {Bucket: "b", CredentialsFile: write("empty.json", `{"type": "external_account", "audience": "secret-stuff"}`)},
		"CA file: ":                          {Bucket: "b", CAFile: filepath.Join(dir, "none")},
		"no.crt holds no certificate in PEM": {Bucket: "b", CAFile: write("no.crt", "secret-stuff")},
	} {
		s, err := gcs.New(t.Context(), o)
		var e *sinks.Error
		if s != nil || !errors.As(err, &e) || e.Op != "configure" || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v gives %v, %v", o, s, err)
		}
		if strings.Contains(fmt.Sprint(err, e), "secret-stuff") {
			t.Errorf("%+v gives away what a file holds: %v", o, err)
		}
	}
}

// TestTheEmulatorVariableNeverLeadsAwayFromThisMachine: Google's library would send backups wherever it says.
func TestTheEmulatorVariableNeverLeadsAwayFromThisMachine(t *testing.T) {
	for value, want := range map[string]string{
		"127.0.0.1:4443":        "gs://b?endpoint=http://127.0.0.1:4443",
		"http://localhost:4443": "gs://b?endpoint=http://localhost:4443",
		"emulator:4443":         "the environment variable STORAGE_EMULATOR_HOST points to another machine, emulator:4443",
		"https://emulator":      "the environment variable STORAGE_EMULATOR_HOST points to another machine, emulator",
		"ftp://a":               "the environment variable STORAGE_EMULATOR_HOST is no address",
	} {
		t.Setenv("STORAGE_EMULATOR_HOST", value)
		s, err := gcs.New(t.Context(), gcs.Options{Bucket: "b"})
		switch {
		case err == nil && s.String() != want:
			t.Errorf("%s makes %s", value, s)
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%s gives: %v", value, err)
		}
		// What the URL says wins.
		s, err = gcs.New(t.Context(), gcs.Options{Bucket: "b", Endpoint: "https://private.example", Anonymous: true})
		if err != nil || s.String() != "gs://b?endpoint=https://private.example&anonymous=true" {
			t.Errorf("beside %s, an endpoint makes %v, %v", value, s, err)
		}
	}
}

func TestAnEndpointWinsOverTheEmulatorVariable(t *testing.T) {
	var astray atomic.Int32
	emulator := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { astray.Add(1) }))
	t.Cleanup(emulator.Close)
	store := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(store.Close)
	t.Setenv("STORAGE_EMULATOR_HOST", emulator.URL)
	s, err := gcs.New(t.Context(), gcs.Options{Bucket: "b", Endpoint: store.URL})
	if err != nil {
		t.Fatal(err)
	}
	conformtest.Fails(t, s, sinks.ErrNoBucket, "does not exist", "create it")
	if n := astray.Load(); n > 0 {
		t.Errorf("%d requests went to the emulator", n)
	}
}
