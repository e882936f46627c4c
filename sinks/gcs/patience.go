package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"cloud.google.com/go/storage"
	"github.com/googleapis/gax-go/v2"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

// maxBreaks is how often in a row a download is resumed without sinks.StallBytes of progress between.
const maxBreaks = 3

// An operation is one call of the sink's, with all the requests it takes. They share one patience. Google's client repeats the
// requests, as the operation tells it to.
type operation struct {
	s         *Sink
	name, key string
	body      *overhttp.Source // what is uploaded, if anything
	patience  overhttp.Patience

	mu      sync.Mutex
	until   time.Time // the store asked for silence until then
	moved   int64     // bytes of downloads since the last break
	breaks  int       // of downloads, in a row
	why     error     // of the last break
	session string    // URL of the upload under way, if it has one
}

func (s *Sink) operation(name, key string) *operation {
	return &operation{s: s, name: name, key: key, patience: overhttp.Patience{Limit: s.o.Patience, Contact: &s.contact}}
}

// object is what the operation is about, with the operation's patience.
func (op *operation) object() *storage.ObjectHandle {
	return op.s.bucket.Object(op.s.prefix + op.key).Retryer(op.retryer()...)
}

// retryer makes the client try again when the operation says so, after a random delay up to a limit that doubles each time
// (full jitter).
func (op *operation) retryer() []storage.RetryOption {
	return []storage.RetryOption{
		storage.WithPolicy(storage.RetryAlways),
		storage.WithBackoff(gax.Backoff{Initial: overhttp.FirstDelay, Max: overhttp.MaxDelay, Multiplier: 2}),
		storage.WithErrorFunc(op.again),
	}
}

type operationKey struct{}

// mark makes requests of this context known as the operation's.
func (op *operation) mark(ctx context.Context) context.Context {
	return context.WithValue(ctx, operationKey{}, op)
}

// operationOf returns the operation a request belongs to. Every request has one: its context comes from mark.
func operationOf(ctx context.Context) *operation {
	return ctx.Value(operationKey{}).(*operation)
}

// admit waits until the store wants requests again, and stops a download that goes nowhere.
func (op *operation) admit(ctx context.Context) error {
	op.mu.Lock()
	wait, breaks, why := time.Until(op.until), op.breaks, op.why
	op.mu.Unlock()
	if breaks > maxBreaks {
		return &nowhereError{fmt.Errorf("the download broke off %d times in a row: %w", breaks, why)}
	}
	if wait <= 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// A nowhereError ends a download that breaks off again and again.
type nowhereError struct{ error }

func (e *nowhereError) Unwrap() error { return e.error }

// answered takes note of a response.
func (op *operation) answered(resp *http.Response) {
	op.s.contact.Made()
	if resp.StatusCode < 300 {
		op.patience.Worked()
	}
	op.mu.Lock()
	defer op.mu.Unlock()
	if asked := overhttp.RetryAfter(resp.Header.Get("Retry-After")); asked > 0 && resp.StatusCode >= 400 {
		op.until = time.Now().Add(asked)
	}
	if resp.Request != nil && resp.Request.URL.Query().Get("uploadType") == "resumable" && resp.Header.Get("Location") != "" {
		op.session = resp.Header.Get("Location")
	}
}

// read takes note of the progress of a response's body.
func (op *operation) read(n int, err error) {
	op.mu.Lock()
	defer op.mu.Unlock()
	if op.moved += int64(n); op.moved >= sinks.StallBytes {
		op.breaks = 0
	}
	if err != nil && err != io.EOF {
		op.breaks++
		op.moved, op.why = 0, err
		op.s.o.Log.Warn("a download broke off", "sink", op.s.String(), "key", op.key, "err", err)
	}
}

// again is asked about every failure.
func (op *operation) again(err error) bool {
	if err == nil || !passing(err) || op.body.Broken() != nil || !op.patience.Lasts(err) {
		return false
	}
	op.s.o.Log.Warn("request to the sink failed, trying again", "sink", op.s.String(), "key", op.key, "err", bare(err))
	return true
}

// bare leaves out the address of a failed request: that of an upload lets whoever has it write to it.
func bare(err error) error {
	var sending *url.Error
	if errors.As(err, &sending) {
		return sending.Err
	}
	return err
}

// passing tells whether a request that failed so can succeed later.
func passing(err error) bool {
	var credentials *credentialsError
	var nowhere *nowhereError
	var network *net.OpError
	var sending *url.Error
	switch {
	case errors.As(err, &credentials), errors.As(err, &nowhere): // whoever was asked has been asked repeatedly
		return false
	case errors.Is(err, sinks.ErrStalled):
		return true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case status(err) != 0:
		switch status(err) {
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	case overhttp.Hopeless(err) != "":
		return false
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.As(err, &network),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return true
	}
	// What the HTTP client says in no other way: a connection that the other side closed.
	return errors.As(err, &sending)
}
