package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// maxReopens is how often in a row a download is resumed without sinks.StallBytes of progress between.
const maxReopens = 3

// Open implements [sinks.Sink].
func (s *Sink) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	return s.open(ctx, key, nil, off)
}

// open reads an object, or the given version of it.
func (s *Sink) open(ctx context.Context, key string, version *string, off int64) (io.ReadCloser, error) {
	op := s.operation("open", key)
	if err := errors.Join(sinks.CheckKey(key), ctx.Err()); err != nil {
		return nil, op.fail(err)
	}
	if off < 0 {
		return nil, op.fail(sinks.CheckOffset(off, 0))
	}
	r := &reader{off: off, op: s.operation("read", key), ended: ctx.Err}
	r.get = func(op *operation, off int64, etag *string) (*s3.GetObjectOutput, error) {
		return s.get(ctx, op, key, version, off, etag)
	}
	out, err := r.get(op, off, nil)
	if code(err) == "InvalidRange" || status(err) == http.StatusRequestedRangeNotSatisfiable {
		return s.openEnd(ctx, op, key, version, off)
	}
	if err != nil {
		return nil, op.fail(err)
	}
	r.body, r.etag, r.size = out.Body, out.ETag, off+aws.ToInt64(out.ContentLength)
	return r, nil
}

// get asks for an object from a byte on.
func (s *Sink) get(ctx context.Context, op *operation, key string, version *string, off int64, etag *string) (*s3.GetObjectOutput, error) {
	full := s.prefix + key
	in := &s3.GetObjectInput{Bucket: &s.o.Bucket, Key: &full, VersionId: version, IfMatch: etag}
	if off > 0 { // any range of an empty object is refused
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", off))
	}
	out, err := s.client.GetObject(ctx, in, op.attempt().option)
	if err != nil {
		return nil, err
	}
	if begin := rangeBegin(out.ContentRange); begin != off || out.ContentLength == nil {
		return nil, errors.Join(fmt.Errorf("the store was asked for the bytes from %d on and sent those from %d on", off, begin), out.Body.Close())
	}
	return out, nil
}

// rangeBegin reads "bytes 100-199/200"; without one a response has the whole object.
func rangeBegin(header *string) int64 {
	rest, _ := strings.CutPrefix(aws.ToString(header), "bytes ")
	first, _, _ := strings.Cut(rest, "-")
	begin, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0
	}
	return begin
}

// openEnd finds out what a refused range means: at the end there is nothing to read, after it there is a mistake.
func (s *Sink) openEnd(ctx context.Context, op *operation, key string, version *string, off int64) (io.ReadCloser, error) {
	full := s.prefix + key
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.o.Bucket, Key: &full, VersionId: version}, op.attempt().option)
	if err == nil {
		err = sinks.CheckOffset(off, aws.ToInt64(head.ContentLength))
	}
	if err != nil {
		return nil, op.fail(err)
	}
	return http.NoBody, nil
}

// A reader never trusts an end: where the connection breaks before the known size, it goes on with a new one, and only
// with the same object.
type reader struct {
	op    *operation
	get   func(op *operation, off int64, etag *string) (*s3.GetObjectOutput, error)
	ended func() error
	body  io.ReadCloser
	etag  *string

	off, size int64
	moved     int64 // since the last break
	reopens   int   // in a row
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		if err := r.ended(); err != nil {
			return 0, r.op.fail(err)
		}
		n, err := r.body.Read(p)
		r.off += int64(n)
		if r.moved += int64(n); r.moved >= sinks.StallBytes {
			r.reopens = 0
		}
		switch {
		case n > 0 || err == nil:
			return n, nil // an error comes again
		case r.off >= r.size && err == io.EOF:
			return 0, io.EOF
		case r.off >= r.size: // all is here, but wrong: a checksum
			return 0, r.op.fail(err)
		}
		if err := r.reopen(err); err != nil {
			return 0, r.op.fail(err)
		}
	}
}

func (r *reader) reopen(why error) error {
	if err := r.ended(); err != nil {
		return err
	}
	if r.reopens == maxReopens {
		return fmt.Errorf("the download broke off at byte %d of %d, %d times in a row: %w", r.off, r.size, maxReopens+1, noEOF(why))
	}
	r.reopens++
	r.moved = 0
	_ = r.body.Close() // it has failed already
	r.body = http.NoBody
	r.op.s.o.Log.Warn("a download broke off, going on", "sink", r.op.s.String(), "key", r.op.key, "bytes", r.off, "err", why)
	out, err := r.get(r.op, r.off, r.etag)
	if status(err) == http.StatusPreconditionFailed {
		return fmt.Errorf("the object was replaced while it was read, at byte %d of %d", r.off, r.size)
	}
	if err != nil {
		return err
	}
	r.body = out.Body
	if size := r.off + *out.ContentLength; size != r.size {
		return fmt.Errorf("the object had %d bytes and has %d now", r.size, size)
	}
	return nil
}

// noEOF makes an early end an error that nobody takes for the end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *reader) Close() error {
	if err := r.body.Close(); err != nil {
		return r.op.fail(err)
	}
	return nil
}
