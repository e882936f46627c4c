package catalog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

var (
	// ErrNotFound: no such backup (exit code 6).
	ErrNotFound = errors.New("no such backup")
	// ErrDamaged: bytes are missing or are not those that were written (exit code 7).
	ErrDamaged = errors.New("damaged")
	// ErrNotAuthentic: a signature is missing or wrong where a key is trusted, or an object stands in another's place (exit code 12).
	ErrNotAuthentic = errors.New("not authentic")
	// ErrOverwritten: somebody has put something else in an object's place, and what it was before was taken instead. It comes with
	// ErrDamaged or ErrNotAuthentic, whichever the new one is.
	ErrOverwritten = errors.New("overwritten")
	// ErrUnsupported: a format or kind that this version does not know (exit code 9): intact, but not to be guessed at.
	ErrUnsupported = errors.New("not supported by this version of lifeboat")
	// ErrUsage: what was asked for cannot be understood, or fits several backups (exit code 2).
	ErrUsage = errors.New("usage")
	// ErrSeveralClusters is matched by *SeveralClustersError (exit code 2).
	ErrSeveralClusters = errors.New("several clusters")
)

// SeveralClustersError tells that the sinks hold several clusters and none was named.
type SeveralClustersError struct{ Clusters []string }

func (e *SeveralClustersError) Error() string {
	return fmt.Sprintf("backups of %d clusters are here and none was named: %s", len(e.Clusters), strings.Join(e.Clusters, ", "))
}

// Is makes the error match ErrSeveralClusters.
func (e *SeveralClustersError) Is(target error) bool { return target == ErrSeveralClusters }

// A DisputedError tells that two manifests that would be believed contradict each other about a backup: one of them was replaced. It
// matches ErrNotAuthentic.
type DisputedError struct {
	ID     ID
	Reason string
}

func (e *DisputedError) Error() string {
	return fmt.Sprintf("backup %s: %v: %s", e.ID, ErrNotAuthentic, e.Reason)
}

func (e *DisputedError) Unwrap() error { return ErrNotAuthentic }

// Hint tells what can be done all the same.
func (e *DisputedError) Hint() string {
	return "name only the --sink that nobody else can write to, or choose another backup; signed manifests (--trusted-keys-file) tell which one was replaced"
}

// A MisplacedError tells that a sink has other bytes in a payload's place, which nothing overwrites. It matches ErrDamaged.
type MisplacedError struct{ Sink, Key string }

func (e *MisplacedError) Error() string {
	return fmt.Sprintf("%s in %s: %v: other bytes are there in its place, which are not overwritten", e.Key, e.Sink, ErrDamaged)
}

func (e *MisplacedError) Unwrap() error { return ErrDamaged }

// Hint tells how to mend the copy.
func (e *MisplacedError) Hint() string {
	return fmt.Sprintf("once `lifeboat verify` has found a sound copy in another sink: remove %s in %s with the store's own tools, and copy again", e.Key, e.Sink)
}

// usageError matches ErrUsage without having its text.
type usageError string

func (e usageError) Error() string { return string(e) }

func (usageError) Is(target error) bool { return target == ErrUsage }

func usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// A Problem is an object, or a sink as a whole, that could not be taken into account.
type Problem struct {
	Sink string // as shown to people
	Key  string // "" for the sink as a whole
	ID   ID     // of the backup concerned, where the key tells
	Err  error  // matches one of this package's errors, or is the sink's
}

func (p *Problem) Error() string {
	var named *sinks.Error
	switch {
	case errors.As(p.Err, &named): // tells both already
		return p.Err.Error()
	case p.Key == "":
		return fmt.Sprintf("sink %s: %v", p.Sink, p.Err)
	}
	return fmt.Sprintf("%s in %s: %v", p.Key, p.Sink, p.Err)
}

func (p *Problem) Unwrap() error { return p.Err }
