package sinks

import (
	"context"
	"io"
	"iter"
	"time"
)

// A Version is an object as it was before it was overwritten or hidden.
type Version struct {
	ID      string // the store's own name for it
	Size    int64  // bytes
	ModTime time.Time
}

// Versioned is a sink whose store may keep what was overwritten or hidden by somebody else: no sink of ours does either. Where the
// store keeps nothing, all its answers are empty. Errors are those of [Sink].
type Versioned interface {
	// Versions tells of the objects behind the one that Open gives, newest first; of all there are where Open gives none.
	Versions(ctx context.Context, key string) ([]Version, error)

	// OpenVersion is Open for one of them.
	OpenVersion(ctx context.Context, key, version string, off int64) (io.ReadCloser, error)

	// Hidden yields the keys under prefix that Open and List deny, though an object is there behind a delete marker: that
	// object, in the byte order of keys. After an error nothing more comes.
	Hidden(ctx context.Context, prefix string) iter.Seq2[Object, error]
}

// AtVersion shows a sink as it was: one key opens as the given version of it. All else is as it is.
func AtVersion(s Sink, v Versioned, key, version string) Sink {
	return &atVersion{Sink: s, v: v, key: key, version: version}
}

type atVersion struct {
	Sink
	v            Versioned
	key, version string
}

// Open implements [Sink].
func (a *atVersion) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	if key == a.key {
		return a.v.OpenVersion(ctx, key, a.version, off)
	}
	return a.Sink.Open(ctx, key, off)
}
