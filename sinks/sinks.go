// Package sinks is the contract between Lifeboat and the places where backups are kept: immutable objects under keys.
//
// A Sink does four things and no more. It never overwrites, never makes or configures the bucket it points at, and
// knows nothing of backups, encryption or retention. What a provider has to hold is written beside the interface, and
// checked by package conform, both in the tests of every provider and against a user's own bucket.
package sinks

import (
	"context"
	"io"
	"iter"
	"time"
)

// A Sink stores immutable objects by key.
//
// Every error is an [*Error]. It matches [fs.ErrNotExist] when the key is not there, [fs.ErrExist] when it is there
// already, [fs.ErrPermission] when credentials are missing, wrong or too weak, [fs.ErrInvalid] when the caller asked for
// something impossible, [ErrNoBucket] when the bucket itself is missing, [ErrLocked] when the store keeps
// the object against everybody, and [ErrStalled] when nothing moved; or the context's error when that ended. When the context
// ends, calls and readers return promptly.
//
// Required of the store behind it: an object that was put can be opened and is listed at once, and is never seen in
// part. Keys are those [CheckKey] accepts; no key may be another key followed by a slash and more (a directory cannot hold both).
//
// A Sink may be used by several goroutines at once.
type Sink interface {
	// Put stores the first size bytes of body under key, which must not exist (fs.ErrExist, whatever it holds).
	// The object appears whole, durable, and at once, or not at all. When Put fails the object is not there, unless the
	// store could not be asked any more; parts sent so far are removed. body is read concurrently and more than once.
	Put(ctx context.Context, key string, body io.ReaderAt, size int64) error

	// Open reads an object from the byte at off to its end. An offset equal to the size gives an empty reader, one
	// beyond it fs.ErrInvalid. The reader gives every byte or an error: a connection that ends early is resumed, and
	// never with the bytes of another object. It lives no longer than ctx, and must be closed.
	Open(ctx context.Context, key string, off int64) (io.ReadCloser, error)

	// List yields the objects whose keys begin with prefix, which need not end at a slash, in the byte order of their keys.
	// After an error nothing more comes. Objects that no Put could have made (by their names) are left out.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]

	// Delete removes an object. A missing key is no error. Where the bucket keeps old versions, it is the version found there
	// that is removed, for good, and what lay below it stays hidden or reappears as the store has it; where a lock protects it
	// nothing is removed (ErrLocked).
	Delete(ctx context.Context, key string) error
}

// An Object is one entry of a listing.
type Object struct {
	Key     string
	Size    int64     // bytes
	ModTime time.Time // by the store's clock, when the object was put
}

// A Check is one promise of the contract as something to run against a real sink. Run leaves nothing behind under
// prefix, which nobody else may use meanwhile and which is empty or ends in a slash.
type Check struct {
	Name string
	Run  func(ctx context.Context, s Sink, prefix string) error
}
