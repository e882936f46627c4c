package sinks

import (
	"errors"
	"fmt"
)

// ErrNoBucket is matched when the bucket or directory a sink points at does not exist. It is not fs.ErrNotExist:
// "this backup is not there" and "we looked in the wrong place" must never be mistaken for each other.
var ErrNoBucket = errors.New("no such bucket")

// ErrLocked is matched, together with fs.ErrPermission, when the store keeps an object until a set time, or as long as somebody
// holds it there, whoever asks: an object lock. It is not a lack of permission, and time cures it.
var ErrLocked = errors.New("locked")

// ErrStalled is matched when less than [StallBytes] moved in the time allowed.
var ErrStalled = errors.New("stalled")

// An Error is what every provider returns: the operation, where, on what, and why.
type Error struct {
	Op   string // put, open, read, list, delete or configure
	Sink string // the sink's name, never with credentials
	Key  string // key or prefix; may be empty
	Err  error  // the cause; matches the kinds named at [Sink]
	Hint string // what a person can do about it, or empty
}

// Error tells what failed on which object in which sink. The hint is not part of it.
func (e *Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s %s: %v", e.Op, e.Sink, e.Err)
	}
	return fmt.Sprintf("%s %s in %s: %v", e.Op, e.Key, e.Sink, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Because makes an error with a text of its own that matches every kind. Wrapping the kinds with %w would append
// texts like "file does not exist", which are wrong for a bucket.
func Because(text string, kinds ...error) error {
	return &because{text: text, kinds: kinds}
}

type because struct {
	text  string
	kinds []error
}

func (b *because) Error() string   { return b.text }
func (b *because) Unwrap() []error { return b.kinds }
