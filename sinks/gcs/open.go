package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"cloud.google.com/go/storage"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Open implements [sinks.Sink].
func (s *Sink) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	op := s.operation("open", key)
	if err := errors.Join(sinks.CheckKey(key), ctx.Err()); err != nil {
		return nil, op.fail(err)
	}
	if off < 0 {
		return nil, op.fail(sinks.CheckOffset(off, 0))
	}
	ctx = op.mark(ctx)
	body, err := op.object().NewRangeReader(ctx, off, -1)
	switch {
	case status(err) == http.StatusRequestedRangeNotSatisfiable:
		return s.openEnd(ctx, op, off)
	case status(err) == http.StatusNotFound:
		if gone := op.noBucket(ctx); gone != nil {
			err = gone
		}
	case err == nil && (body.Attrs.StartOffset != off || body.Attrs.Size < off):
		err = errors.Join(fmt.Errorf("the store was asked for the bytes from %d on and sent those from %d on, of %d", off, body.Attrs.StartOffset, body.Attrs.Size), body.Close())
	}
	if err != nil {
		return nil, op.fail(err)
	}
	op.name = "read"
	return &reader{op: op, body: body, ended: ctx.Err, off: off, size: body.Attrs.Size}, nil
}

// openEnd finds out what a refused range means: at the end there is nothing to read, after it there is a mistake.
func (s *Sink) openEnd(ctx context.Context, op *operation, off int64) (io.ReadCloser, error) {
	found, err := op.object().Attrs(ctx)
	if err == nil {
		err = sinks.CheckOffset(off, found.Size)
	}
	if err != nil {
		return nil, op.fail(err)
	}
	return http.NoBody, nil
}

// A reader never trusts an end. Where the connection breaks before the known size, the client goes on with a new one, and only
// with the same generation of the object; see operation.read for when it stops.
type reader struct {
	op    *operation
	body  *storage.Reader
	ended func() error

	off, size int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ended(); err != nil {
		return 0, r.op.fail(err)
	}
	if r.off >= r.size && len(p) > 0 {
		p = p[:1] // all is here, only the end is not: it tells whether the checksum fits
	}
	n, err := r.body.Read(p)
	r.off += int64(n)
	switch {
	case r.off > r.size:
		return n, r.op.fail(fmt.Errorf("the object is longer than its %d bytes", r.size))
	case err == nil, err == io.EOF && r.off == r.size:
		return n, err
	case err == io.EOF:
		err = fmt.Errorf("the download broke off at byte %d of %d: %w", r.off, r.size, io.ErrUnexpectedEOF)
	case status(err) == http.StatusNotFound:
		err = fmt.Errorf("the object was replaced or removed while it was read, at byte %d of %d", r.off, r.size)
	}
	return n, r.op.fail(err)
}

func (r *reader) Close() error {
	if err := r.body.Close(); err != nil {
		return r.op.fail(err)
	}
	return nil
}
