package main

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// absent is a directory that is not there: a sink like any other that cannot be used, so that one volume which is not mounted keeps
// nobody from backups in the other sinks. It stays absent for as long as the command runs.
type absent struct{ why *sinks.Error }

// orAbsent makes of the error that a place does not exist a sink that says so whenever it is asked. Other errors stay errors.
func orAbsent(s sinks.Sink, err error) (sinks.Sink, error) {
	var why *sinks.Error
	if errors.Is(err, sinks.ErrNoBucket) && errors.As(err, &why) {
		return absent{why}, nil
	}
	return s, err
}

// allAbsent is why no sink at all can be used, before anything else is asked for nothing; nil if there is one that may be.
func allAbsent(all []catalog.Named) error {
	var why []error
	for _, s := range all {
		a, ok := s.Sink.(absent)
		if !ok {
			return nil
		}
		why = append(why, a.why)
	}
	return errors.Join(why...)
}

func (a absent) fail(op, key string) error {
	return &sinks.Error{Op: op, Sink: a.why.Sink, Key: key, Err: a.why.Err, Hint: a.why.Hint}
}

// String returns the sink's URL.
func (a absent) String() string { return a.why.Sink }

// Put implements [sinks.Sink].
func (a absent) Put(_ context.Context, key string, _ io.ReaderAt, _ int64) error {
	return a.fail("put", key)
}

// Open implements [sinks.Sink].
func (a absent) Open(_ context.Context, key string, _ int64) (io.ReadCloser, error) {
	return nil, a.fail("open", key)
}

// List implements [sinks.Sink].
func (a absent) List(_ context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) { yield(sinks.Object{}, a.fail("list", prefix)) }
}

// Delete implements [sinks.Sink].
func (a absent) Delete(_ context.Context, key string) error { return a.fail("delete", key) }
