package fault

import (
	"errors"
	"io"
	"io/fs"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// A Kind is a way to fail. Whatever it is, the call returns an [*sinks.Error].
type Kind string

// The ways to fail. What is said of readers is about a Read; a listing fails in the place of an object or its end.
const (
	Before      Kind = "error before"        // the connection is refused: nothing happened
	After       Kind = "error after"         // it took effect and the answer is lost; a Read gives its bytes with the error
	Short       Kind = "short"               // it breaks in the middle, io.ErrUnexpectedEOF; of a Put nothing is kept
	EOF         Kind = "EOF"                 // io.EOF before it is due; from a Read as the plain end of the object, which is a lie
	Hang        Kind = "hang"                // nothing until the stall deadline (sinks.ErrStalled) or the context's end
	Forbidden   Kind = "403"                 // fs.ErrPermission
	Conflict    Kind = "409"                 // another operation on the key is under way; of no kind
	Exists      Kind = "412"                 // fs.ErrExist, whether it does or not
	Unavailable Kind = "503"                 // of no kind
	Expired     Kind = "expired credentials" // fs.ErrPermission
)

// Kinds returns all of them.
func Kinds() []Kind {
	return []Kind{Before, After, Short, EOF, Hang, Forbidden, Conflict, Exists, Unavailable, Expired}
}

// ErrInjected is matched by every fault but the lie of a reader, and a hang that the context ended.
var ErrInjected = errors.New("injected")

// cause is the error a kind ends in.
func (k Kind) cause() error {
	for _, c := range []struct {
		kind Kind
		text string
		is   error
	}{
		{Before, "connection refused", nil},
		{After, "connection reset by peer", nil},
		{Short, "unexpected EOF", io.ErrUnexpectedEOF},
		{EOF, "EOF", io.EOF},
		{Hang, "stalled", sinks.ErrStalled},
		{Forbidden, "access denied (403)", fs.ErrPermission},
		{Conflict, "another operation on the object is under way (409)", nil},
		{Exists, "the object exists already (412)", fs.ErrExist},
		{Unavailable, "the store is overloaded (503)", nil},
		{Expired, "the credentials have expired", fs.ErrPermission},
	} {
		switch {
		case c.kind != k:
		case c.is == nil:
			return sinks.Because(c.text, ErrInjected)
		default:
			return sinks.Because(c.text, ErrInjected, c.is)
		}
	}
	panic("no such fault: " + string(k))
}
