// Package open makes a sink of a URL, as people write it in flags and configuration files.
//
// Credentials never come from a URL: they would end in shell histories, process lists and logs.
package open

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/file"
)

// ErrUsage is matched when a URL, or a file that goes with it, cannot be used as it is. Nothing has been asked of any store then.
var ErrUsage = errors.New("not a usable sink")

// Options are what goes with a sink besides its URL.
type Options struct {
	CredentialsFile string // AWS shared credentials file, for s3; JSON of a service account or external account, for gs
	CAFile          string // certificates to trust besides the system's, for s3 and gs
	Create          bool   // make a missing directory, for file
	Checksums       bool   // have the store keep checksums of what is put, for sinks.Checksummed; for s3, others do so anyway
	PartSize        int64  // bytes from which objects are put in parts, and the size of those; for s3 and gs; 0: its default

	Log *slog.Logger // told of failures that were overcome; may be nil
}

// URL opens a sink:
//
//	s3://bucket/prefix?region=R&endpoint=URL&path-style=true&lock-mode=governance&lock-days=N (and more, see docs/configuration.md)
//	gs://bucket/prefix?endpoint=URL&anonymous=true
//	file:///directory
//
// Errors are *sinks.Error. A malformed URL matches ErrUsage; a directory that does not exist, sinks.ErrNoBucket. A store on the
// network is not asked yet.
func URL(ctx context.Context, raw string, o Options) (sinks.Sink, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, usage(raw, "it is not a URL", "write s3://bucket/prefix, gs://bucket/prefix or file:///directory")
	}
	if u.User != nil || strings.Contains(u.Host, "@") {
		return nil, usage(raw, "it has credentials in it", "give them in a credentials file or the environment")
	}
	if u.Fragment != "" || strings.Contains(raw, "#") {
		return nil, usage(raw, "it has a # in it", "write %23 where it belongs to a name")
	}
	switch u.Scheme {
	case "s3":
		return openS3(ctx, raw, u, o)
	case "file":
		return openFile(raw, u, o)
	case "gs":
		return openGCS(ctx, raw, u, o)
	case "":
		return nil, usage(raw, "it has no scheme", "write s3://bucket/prefix or gs://bucket/prefix, or file:// before the absolute path of a directory")
	}
	return nil, usage(raw, u.Scheme+":// is not supported", "use s3://, gs:// or file://")
}

func usage(raw, why, hint string) error {
	return &sinks.Error{Op: "configure", Sink: Redact(raw), Err: sinks.Because(why, ErrUsage), Hint: hint}
}

// Redact returns a sink's URL without anything that could be a secret, however malformed it is: for messages about URLs
// that could not be opened. A sink that was opened has its own String.
func Redact(raw string) string {
	rest, _, _ := strings.Cut(raw, "?")
	rest, _, _ = strings.Cut(rest, "#")
	scheme, rest, found := strings.Cut(rest, "://")
	if !found {
		scheme, rest = "", scheme
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		rest = rest[at+1:]
	}
	if scheme == "" {
		return rest
	}
	return scheme + "://" + rest
}

func openFile(raw string, u *url.URL, o Options) (sinks.Sink, error) {
	switch {
	case u.Host != "":
		return nil, usage(raw, "it names the host "+strconv.Quote(u.Host), "write three slashes before the directory: file:///"+u.Host+u.Path)
	case u.RawQuery != "" || u.ForceQuery:
		return nil, usage(raw, "file:// takes no parameters", "write %3F where a ? belongs to the name")
	case u.Opaque != "" || !strings.HasPrefix(u.Path, "/"):
		return nil, usage(raw, "the directory is not absolute", "write file:// and then the absolute path")
	case strings.Trim(u.Path, "/") == "":
		return nil, usage(raw, "it names the root of all files", "name a directory")
	case strings.ContainsRune(u.Path, 0):
		return nil, usage(raw, "the directory has a zero byte in its name", "")
	}
	dir := filepath.FromSlash(u.Path)
	if o.Create {
		return wrap(file.Create(dir))
	}
	return wrap(file.New(dir))
}

func checkPrefix(raw, prefix string) error {
	if prefix != "" && (sinks.CheckKey(prefix) != nil || len(prefix) >= sinks.MaxPrefix) {
		return usage(raw, "the prefix is too long or has empty segments or unusual characters", "write names with one slash between them")
	}
	return nil
}

// parameters gives every parameter of a URL to take, which says why not and what instead, or nothing.
func parameters(raw string, u *url.URL, example string, take func(name, value string) (why, hint string)) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return usage(raw, "its parameters cannot be read", example)
	}
	for name, values := range query {
		if len(values) != 1 || values[0] == "" {
			return usage(raw, "the parameter "+strconv.Quote(name)+" does not have one value", "write it once, as "+name+"=VALUE")
		}
		if why, hint := take(name, values[0]); why != "" {
			return usage(raw, why, hint)
		}
	}
	return nil
}

// endpoint reads the address of a store, which is no more than scheme, host and port.
func endpoint(value string) (address, why, hint string) {
	e, err := url.Parse(value)
	if err != nil || e.Scheme != "http" && e.Scheme != "https" || e.Host == "" {
		return "", "the endpoint is not a URL", "write endpoint=https://host:port"
	}
	if e.User != nil || strings.Trim(e.Path, "/") != "" || e.RawQuery != "" || e.Fragment != "" {
		return "", "the endpoint has more than scheme, host and port", "write endpoint=https://host:port"
	}
	return e.Scheme + "://" + e.Host, "", ""
}

// hintFor adds to the error of New, unless it has a hint, what to do about the files that go with the URL, of which credentials are in format.
func hintFor(err error, o Options, format string) error {
	var e *sinks.Error
	switch {
	case !errors.As(err, &e) || e.Hint != "":
	case o.CredentialsFile != "" && strings.Contains(e.Err.Error(), o.CredentialsFile):
		e.Hint = "credentials-file takes the path of a readable file: " + format
	case o.CAFile != "" && strings.Contains(e.Err.Error(), o.CAFile):
		e.Hint = "ca-file takes the path of a readable file with certificates in PEM format"
	case strings.Contains(e.Err.Error(), "(lock-"):
		e.Hint = "write both, as lock-mode=governance&lock-days=30, or neither"
	}
	return err
}

// wrap keeps a nil *T from becoming a sink that is not nil, and calls what New finds out without asking anybody a usage error.
func wrap[T sinks.Sink](s T, err error) (sinks.Sink, error) {
	if err == nil {
		return s, nil
	}
	var e *sinks.Error
	if errors.As(err, &e) && !errors.Is(err, sinks.ErrNoBucket) {
		e.Err = sinks.Because(e.Err.Error(), ErrUsage, e.Err)
	}
	return nil, err
}
