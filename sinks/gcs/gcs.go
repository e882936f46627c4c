// Package gcs keeps objects in a bucket of Google Cloud Storage.
//
// It never overwrites (every write has the condition that nothing is there), never creates or configures a bucket, never follows
// a redirect to another place, and sends no credentials over a connection that others can read.
package gcs

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cloud.google.com/go/storage"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

// Options say where a bucket is and how to work with it. Only Bucket is needed where application default credentials are.
type Options struct {
	Bucket string
	Prefix string // put before every key with a slash; may be empty

	Endpoint        string // http or https URL of an emulator or a private endpoint; default: what STORAGE_EMULATOR_HOST says, else Google
	Anonymous       bool   // use no credentials; so it is anyway for an http endpoint on this machine without CredentialsFile
	CredentialsFile string // JSON of a service account or external account; default: Google's application default credentials
	CAFile          string // certificates (PEM) to trust besides the system's

	ChunkSize int           // bytes sent with one request, and held in memory; rounded up to 256 KiB; 16 MiB by default
	Stall     time.Duration // how long a request may go without sinks.StallBytes of progress; default sinks.StallAfter
	Patience  time.Duration // how long to try again without a single success; default 15 minutes

	// Transport, if set, wraps what carries the requests, to watch or disturb it.
	Transport func(http.RoundTripper) http.RoundTripper
	Log       *slog.Logger // told of failures that did not become errors; default: nobody
}

const (
	chunkUnit       = 256 << 10 // chunks but the last are multiples of it
	defaultChunk    = 16 << 20
	defaultPatience = 15 * time.Minute
)

// A Sink is a bucket, or the part of one below a prefix.
type Sink struct {
	http    *http.Client
	bucket  *storage.BucketHandle
	o       Options
	prefix  string // empty, or ending in a slash
	contact overhttp.Contact
}

// New prepares a sink. The network is left alone until the first call; what can be wrong by itself is found out now.
func New(ctx context.Context, o Options) (*Sink, error) {
	o.Prefix = strings.Trim(o.Prefix, "/")
	o.ChunkSize = (cmp.Or(o.ChunkSize, defaultChunk) + chunkUnit - 1) / chunkUnit * chunkUnit
	o.Stall = cmp.Or(o.Stall, sinks.StallAfter)
	o.Patience = cmp.Or(o.Patience, defaultPatience)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	err := errors.Join(o.check(), o.settleEndpoint())
	s := &Sink{o: o}
	if o.Prefix != "" {
		s.prefix = o.Prefix + "/"
	}
	if err == nil {
		err = s.connect(ctx)
	}
	if err != nil {
		return nil, &sinks.Error{Op: "configure", Sink: s.String(), Err: err, Hint: hintOf(err)}
	}
	return s, nil
}

func (o *Options) check() error {
	switch {
	case o.Bucket == "":
		return sinks.Because("the bucket has no name", fs.ErrInvalid)
	case o.ChunkSize < 0 || o.Stall < 0 || o.Patience < 0:
		return sinks.Because("chunk size, stall and patience must not be negative", fs.ErrInvalid)
	case len(o.Prefix) > sinks.MaxPrefix-1:
		return sinks.Because("the prefix is too long", fs.ErrInvalid)
	case o.Anonymous && o.CredentialsFile != "":
		return sinks.Because("anonymous access and a credentials file exclude each other", fs.ErrInvalid)
	case o.Prefix != "":
		if err := sinks.CheckKey(o.Prefix); err != nil {
			return sinks.Because("the prefix cannot be used: "+err.Error(), fs.ErrInvalid)
		}
	}
	return nil
}

// String returns the sink's URL, as package open reads it. It has no credentials in it.
func (s *Sink) String() string {
	u := url.URL{Scheme: "gs", Host: s.o.Bucket, Path: s.o.Prefix}
	var query []string
	if s.o.Endpoint != "" {
		query = append(query, "endpoint="+s.o.Endpoint)
	}
	if s.o.Anonymous && !local(s.o.Endpoint) {
		query = append(query, "anonymous=true")
	}
	u.RawQuery = strings.Join(query, "&")
	return u.String()
}

// PartSize is the size in bytes up to which objects are put with one request.
func (s *Sink) PartSize() int64 { return int64(s.o.ChunkSize) }

// Delete implements [sinks.Sink]. In a versioned bucket it removes the version that is current, and for good as far as the bucket's
// soft deletion lets it: what is held or retained is refused (sinks.ErrLocked), and nothing is merely hidden.
func (s *Sink) Delete(ctx context.Context, key string) error {
	op := s.operation("delete", key)
	if err := errors.Join(sinks.CheckKey(key), ctx.Err()); err != nil {
		return op.fail(err)
	}
	ctx = op.mark(ctx)
	object := op.object()
	found, err := object.Attrs(ctx)
	if err == nil {
		err = object.Generation(found.Generation).Delete(ctx)
	}
	if status(err) != http.StatusNotFound {
		return op.fail(err)
	}
	if gone := op.noBucket(ctx); gone != nil {
		return op.fail(gone)
	}
	return nil
}
