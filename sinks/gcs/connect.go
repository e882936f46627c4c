package gcs

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/httptransport"
	"cloud.google.com/go/storage"
	"google.golang.org/api/option"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

// emulatorVariable is what Google's client libraries take for the address of an emulator.
const emulatorVariable = "STORAGE_EMULATOR_HOST"

const (
	dialTimeout  = 10 * time.Second
	tokenTimeout = time.Minute
)

// settleEndpoint decides where requests go, and whether they carry credentials. Google's library would follow STORAGE_EMULATOR_HOST
// by itself; here it only stands for a missing endpoint, shows in the sink's name, and never gets credentials or backups off
// this machine by itself.
func (o *Options) settleEndpoint() error {
	fromEnvironment := false
	if o.Endpoint == "" {
		o.Endpoint = os.Getenv(emulatorVariable)
		if fromEnvironment = o.Endpoint != ""; fromEnvironment && !strings.Contains(o.Endpoint, "://") {
			o.Endpoint = "http://" + o.Endpoint
		}
	}
	if o.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
		if fromEnvironment {
			o.Endpoint = ""
			return &hinted{sinks.Because("the environment variable "+emulatorVariable+" is no address", fs.ErrInvalid), "unset it, or write host:port"}
		}
		return sinks.Because("the endpoint is not a URL of scheme, host and port", fs.ErrInvalid)
	}
	o.Endpoint = u.Scheme + "://" + u.Host
	switch {
	case local(o.Endpoint):
		o.Anonymous = o.CredentialsFile == ""
	case fromEnvironment && !o.Anonymous:
		return &hinted{
			sinks.Because("the environment variable "+emulatorVariable+" points to another machine, "+u.Host, fs.ErrInvalid),
			"unset it to use Google Cloud Storage; if that machine is meant, write endpoint=" + o.Endpoint + "&anonymous=true in the URL",
		}
	case u.Scheme == "http" && !o.Anonymous:
		return &hinted{
			sinks.Because("credentials would be sent to "+u.Host+" without encryption", fs.ErrInvalid),
			"write https:// for the endpoint, or anonymous=true if it wants none",
		}
	}
	if fromEnvironment {
		o.Log.Warn("the sink is an emulator, as the environment says", "variable", emulatorVariable, "endpoint", o.Endpoint)
	}
	return nil
}

// local reports whether an endpoint is http on this machine, where nobody else listens to what is sent.
func local(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// connect makes the client. It reads files and the environment, nothing else.
func (s *Sink) connect(ctx context.Context) error {
	base, err := s.transport()
	if err != nil {
		return err
	}
	var carrier http.RoundTripper = base
	if s.o.Transport != nil {
		carrier = s.o.Transport(carrier)
	}
	carrier = &watched{base: carrier, s: s}
	if !s.o.Anonymous {
		tokens, err := s.tokens(&http.Client{Transport: base, Timeout: tokenTimeout})
		if err != nil {
			return err
		}
		carrier = &authorized{base: carrier, tokens: tokens}
	}
	s.http = &http.Client{Transport: carrier, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	endpoint := s.o.Endpoint
	if endpoint == "" {
		endpoint = "https://storage.googleapis.com"
	}
	// The library looks at the variable whatever it is told, and fails if it cannot read it. What it finds there has no effect beside an endpoint.
	// Reads by the JSON interface tell a missing bucket from missing permission in words; those by XML do not.
	client, err := storage.NewClient(ctx, option.WithHTTPClient(s.http), option.WithEndpoint(endpoint+"/storage/v1/"), storage.WithJSONReads(), option.WithTelemetryDisabled())
	if err != nil {
		return fmt.Errorf("client of Google Cloud Storage: %w", err)
	}
	s.bucket = client.Bucket(s.o.Bucket)
	return nil
}

// transport is what also fetches credentials, over the same CA and proxy settings.
func (s *Sink) transport() (*http.Transport, error) {
	roots, err := overhttp.Roots(s.o.CAFile)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:   dialTimeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   32,
		ExpectContinueTimeout: time.Second,
		ReadBufferSize:        128 << 10,
		WriteBufferSize:       128 << 10,
		DisableCompression:    true, // what is stored is what we want
		ForceAttemptHTTP2:     true,
	}, nil
}

// kinds are the credentials that a file may hold.
var kinds = []credentials.CredType{credentials.ServiceAccount, credentials.ExternalAccount, credentials.ImpersonatedServiceAccount, credentials.AuthorizedUser}

// tokens makes what gives an access token for each request. Application default credentials are looked for when the first is
// needed: the search may have to ask the metadata server of a machine in Google's cloud.
func (s *Sink) tokens(client *http.Client) (auth.TokenProvider, error) {
	options := &credentials.DetectOptions{Scopes: []string{storage.ScopeReadWrite}, Client: client}
	file := s.o.CredentialsFile
	if file == "" {
		return &found{look: sync.OnceValues(func() (*auth.Credentials, error) { return credentials.DetectDefault(options) })}, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("credentials file: %w", err)
	}
	var head struct {
		Type credentials.CredType `json:"type"`
	}
	// What the file holds is not repeated in messages, not even by way of the parser's.
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, &hinted{sinks.Because("the credentials file "+file+" is not JSON", fs.ErrInvalid), "give the JSON key file of a service account, or the configuration of an external account"}
	}
	if !slices.Contains(kinds, head.Type) {
		return nil, &hinted{sinks.Because("the credentials file "+file+" holds no credentials of a known type", fs.ErrInvalid), "give the JSON key file of a service account, or the configuration of an external account"}
	}
	held, err := credentials.NewCredentialsFromJSON(head.Type, text, options)
	if err != nil {
		return nil, sinks.Because("the credentials file "+file+" cannot be used: it lacks something its type needs, or its key is malformed", fs.ErrInvalid)
	}
	return held, nil
}

// found are the application default credentials, once they were looked for.
type found struct {
	look func() (*auth.Credentials, error)
}

func (f *found) Token(ctx context.Context) (*auth.Token, error) {
	c, err := f.look()
	if err != nil {
		return nil, err
	}
	return c.Token(ctx)
}

// authorized gives every request an access token, and tells failures to get one from failures of the store.
type authorized struct {
	base   http.RoundTripper
	tokens auth.TokenProvider
}

func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := a.tokens.Token(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // as a RoundTripper has to
		}
		if ended := req.Context().Err(); ended != nil {
			return nil, ended
		}
		return nil, &credentialsError{err}
	}
	req = req.Clone(req.Context())
	httptransport.SetAuthHeader(token, req)
	return a.base.RoundTrip(req)
}

type credentialsError struct{ err error }

// Error says what failed without what the token endpoint was sent.
func (e *credentialsError) Error() string {
	var refused *auth.Error
	if errors.As(e.err, &refused) && refused.Response != nil {
		return "the token endpoint answers " + refused.Response.Status
	}
	text, _, _ := strings.Cut(e.err.Error(), "\n")
	return text
}

func (e *credentialsError) Unwrap() error { return e.err }

// hinted is an error found while configuring that has a hint.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

func hintOf(err error) string {
	var h *hinted
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}
