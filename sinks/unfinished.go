package sinks

import (
	"context"
	"iter"
	"time"
)

// Unfinished is what a [Sink] may be besides: one that can tell of uploads which were begun and neither completed nor given up,
// as a killed process leaves them. They show in no listing, and where a store charges for what it keeps, for them too.
//
// Nothing tells an upload that was left behind from one that is under way but its age: whoever gives up another's upload makes
// that one fail, or begin again.
type Unfinished interface {
	// Uploads yields what was begun under keys with the prefix, in no particular order. After an error nothing more comes.
	Uploads(ctx context.Context, prefix string) iter.Seq2[Upload, error]

	// Abort gives up an upload and frees what it holds. One that is no longer there is no error.
	Abort(ctx context.Context, u Upload) error
}

// An Upload is one that was begun.
type Upload struct {
	Key     string    // of the object it was to be; a directory's own left-overs have the name of the left-over
	ID      string    // tells it from others of the same key
	Started time.Time // by the store's clock: when it was begun, or last written to
}
