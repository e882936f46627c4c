// Package s3 keeps objects in a bucket of Amazon S3, or of anything that speaks its protocol.
//
// It never overwrites (every write is conditional, unless the store cannot do that), never creates or configures a bucket, and never follows a redirect
// to another place. Uploads in parts are its own, over the plain client: the parts are read from the caller's body as they
// are sent, and nothing is buffered.
package s3

import (
	"cmp"
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

// Options say where a bucket is and how to work with it. Only Bucket is needed on AWS.
type Options struct {
	Bucket string
	Prefix string // put before every key with a slash; may be empty

	Region    string // default: what AWS's environment and files say, else us-east-1
	Endpoint  string // http or https URL of a store that is not AWS
	PathStyle *bool  // bucket in the path instead of the host name; default: where the endpoint is not AWS

	CredentialsFile string // AWS shared credentials file, profile "default"; default: AWS's own chain
	CAFile          string // certificates (PEM) to trust besides the system's

	StorageClass  string // of new objects; default: the bucket's
	Encryption    string // of new objects by the store: AES256 or aws:kms; default: the bucket's
	KMSKey        string // id of the key for aws:kms; default: the account's
	LockMode      string // governance or compliance: new objects cannot be removed for LockDays; default: the bucket's
	LockDays      int
	Checksums     bool // have the store keep a SHA-256 of new objects, or of their parts, which it can be asked for; Amazon keeps a checksum anyway
	Unconditional bool // the store has no conditional writes: look first, and rely on names that nobody else chooses

	PartSize int64         // bytes; objects up to this size are put at once; 16 MiB by default, stores refuse less than 5
	Parallel int           // parts under way at once; default 4
	Stall    time.Duration // how long a request may go without sinks.StallBytes of progress; default sinks.StallAfter
	Patience time.Duration // how long to try again without a single success; default 15 minutes

	// Transport, if set, wraps what carries the requests, to watch or disturb it.
	Transport func(http.RoundTripper) http.RoundTripper
	Log       *slog.Logger // told of failures that did not become errors; default: nobody
}

const (
	defaultPartSize = 16 << 20
	defaultParallel = 4
	defaultPatience = 15 * time.Minute
)

// A Sink is a bucket, or the part of one below a prefix.
type Sink struct {
	client  *s3.Client
	keys    *keyring
	o       Options
	prefix  string // empty, or ending in a slash
	contact overhttp.Contact
	warned  sync.Once // of what Unconditional means
}

// New prepares a sink. The network is left alone until the first call; what can be wrong by itself is found out now.
func New(ctx context.Context, o Options) (*Sink, error) {
	o.Prefix = strings.Trim(o.Prefix, "/")
	o.PartSize = cmp.Or(o.PartSize, defaultPartSize)
	o.Parallel = cmp.Or(o.Parallel, defaultParallel)
	o.Stall = cmp.Or(o.Stall, sinks.StallAfter)
	o.Patience = cmp.Or(o.Patience, defaultPatience)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sink{o: o}
	if o.Prefix != "" {
		s.prefix = o.Prefix + "/"
	}
	err := check(o)
	if err == nil {
		s.client, err = s.connect(ctx)
	}
	if err != nil {
		return nil, &sinks.Error{Op: "configure", Sink: s.String(), Err: err}
	}
	return s, nil
}

func check(o Options) error {
	switch {
	case o.Bucket == "":
		return sinks.Because("the bucket has no name", fs.ErrInvalid)
	case o.PartSize < 0 || o.Parallel < 0 || o.Stall < 0 || o.Patience < 0:
		return sinks.Because("part size, parallel parts, stall and patience must not be negative", fs.ErrInvalid)
	case len(o.Prefix) > sinks.MaxPrefix-1:
		return sinks.Because("the prefix is too long", fs.ErrInvalid)
	case o.Prefix != "":
		if err := sinks.CheckKey(o.Prefix); err != nil {
			return sinks.Because("the prefix cannot be used: "+err.Error(), fs.ErrInvalid)
		}
	}
	return checkStoring(o)
}

// String returns the sink's URL, as package open reads it: the address only, so that a place keeps its name when the way of storing
// things there changes. It has no credentials in it.
func (s *Sink) String() string {
	u := url.URL{Scheme: "s3", Host: s.o.Bucket, Path: s.o.Prefix}
	var query []string
	if s.o.Endpoint != "" {
		query = append(query, "endpoint="+s.o.Endpoint)
	}
	if s.o.Region != "" {
		query = append(query, "region="+url.QueryEscape(s.o.Region))
	}
	if s.o.PathStyle != nil && !*s.o.PathStyle {
		query = append(query, "path-style=false")
	}
	u.RawQuery = strings.Join(query, "&")
	return u.String()
}

// PartSize is the size in bytes up to which objects are put at once.
func (s *Sink) PartSize() int64 { return s.o.PartSize }
