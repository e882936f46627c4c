// Package open turns a sink's URL into the sink. It makes no request: what a URL points at may be missing or forbidden, and
// that shows at the first use (but for a directory, which has to be there).
package open

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/file"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

// ErrUsage is matched by a URL that names no sink.
var ErrUsage = errors.New("not a sink")

// A UsageError is a malformed URL, with what to write instead.
type UsageError struct{ Reason, Advice string }

func (e *UsageError) Error() string { return e.Reason }

// Hint tells what to write instead.
func (e *UsageError) Hint() string { return e.Advice }

// Is makes every UsageError match ErrUsage.
func (e *UsageError) Is(target error) bool { return target == ErrUsage }

// Options are the files that belong to one sink and have no place in its URL.
type Options struct {
	CredentialsFile string // AWS shared credentials file; "" is AWS's own chain
	CAFile          string // PEM, trusted besides the system's; ""
}

// Opened is a sink that tells its URL, without credentials.
type Opened interface {
	sinks.Sink
	fmt.Stringer
}

const forms = "write s3://BUCKET/PREFIX?region=REGION, s3://BUCKET/PREFIX?endpoint=https://HOST:PORT or file:///DIR"

// URL opens the sink that raw names:
//
//	file:///DIR                     a directory that exists
//	s3://BUCKET[/PREFIX][?…]        a bucket, or what is below a prefix of one
//	    region=REGION               default: AWS's environment and files
//	    endpoint=http(s)://HOST     a store that is not AWS
//	    path-style=true|false       default: true with an endpoint
//
// Errors match ErrUsage for a URL that cannot be meant, and are *sinks.Error otherwise.
func URL(ctx context.Context, raw string, o Options) (Opened, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" {
		return nil, &UsageError{fmt.Sprintf("sink %q is not a URL", shown(raw)), forms}
	}
	if u.User != nil {
		return nil, &UsageError{
			fmt.Sprintf("sink %s://… carries credentials", u.Scheme),
			"leave them out: they come from AWS's environment and files, or from a credentials-file in the configuration",
		}
	}
	switch u.Scheme {
	case "file":
		return openFile(u, raw)
	case "s3":
		return openS3(ctx, u, o)
	case "gs":
		return nil, &UsageError{"this version of lifeboat has no gs:// sink", forms}
	}
	return nil, &UsageError{fmt.Sprintf("sink %q: there is no %s:// sink", shown(raw), u.Scheme), forms}
}

// shown leaves out of a URL what may be secret.
func shown(raw string) string {
	raw, _, _ = strings.Cut(raw, "?")
	if _, after, ok := strings.Cut(raw, "@"); ok {
		return "…@" + after
	}
	return raw
}

func openFile(u *url.URL, raw string) (Opened, error) {
	switch {
	case u.Host != "" && u.Host != "localhost":
		return nil, &UsageError{fmt.Sprintf("sink %q names a host", shown(raw)), fmt.Sprintf("an absolute path takes three slashes: file:///%s%s", u.Host, u.Path)}
	case u.Path == "":
		return nil, &UsageError{fmt.Sprintf("sink %q names no directory", shown(raw)), "write file:///DIR"}
	case u.RawQuery != "" || u.Fragment != "":
		return nil, &UsageError{fmt.Sprintf("sink %q: a directory takes no options", shown(raw)), "write file:///DIR, with %3F for a question mark in its name"}
	}
	s, err := file.New(u.Path)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func openS3(ctx context.Context, u *url.URL, o Options) (Opened, error) {
	so := s3.Options{Bucket: u.Host, Prefix: u.Path, CredentialsFile: o.CredentialsFile, CAFile: o.CAFile}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, &UsageError{fmt.Sprintf("sink s3://%s%s: its options cannot be read: %v", u.Host, u.Path, err), forms}
	}
	for name, values := range query {
		if !slices.Contains([]string{"region", "endpoint", "path-style"}, name) || len(values) != 1 {
			return nil, &UsageError{
				fmt.Sprintf("sink s3://%s%s: %q is no option, or given twice", u.Host, u.Path, name),
				"there are region, endpoint and path-style; quote the URL if your shell takes & for itself",
			}
		}
	}
	so.Region, so.Endpoint = query.Get("region"), query.Get("endpoint")
	if text := query.Get("path-style"); text != "" {
		style, err := strconv.ParseBool(text)
		if err != nil {
			return nil, &UsageError{fmt.Sprintf("sink s3://%s%s: path-style=%q is neither true nor false", u.Host, u.Path, text), forms}
		}
		so.PathStyle = &style
	}
	if so.Bucket == "" {
		return nil, &UsageError{"sink s3:// names no bucket", forms}
	}
	s, err := s3.New(ctx, so)
	if err != nil {
		return nil, err
	}
	return s, nil
}
