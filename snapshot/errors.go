package snapshot

import (
	"errors"
	"fmt"
	"strings"
)

// What went wrong, for the caller to decide on: the exit code, or whether the next member is worth a try. Every error of this
// package that is not a plain local one matches exactly one of them by errors.Is.
var (
	// ErrUnavailable says that etcd cannot be reached, is not healthy, or does not let us in.
	ErrUnavailable = errors.New("etcd is unreachable, unhealthy or forbidden")

	// ErrConfig says that the connection settings themselves are wrong, whatever etcd's state.
	ErrConfig = errors.New("wrong connection settings")

	// ErrDamaged says that a snapshot is not what an etcd member wrote.
	ErrDamaged = errors.New("damaged snapshot")

	// ErrStale says that a snapshot's revision lies below the revision the cluster had before the snapshot began.
	ErrStale = errors.New("stale snapshot")

	// ErrSpool says that our own disk failed us, not etcd.
	ErrSpool = errors.New("spool failure")
)

// An EndpointError is what one endpoint answered, or why it did not.
type EndpointError struct {
	Endpoint string // as configured
	Kind     error  // ErrUnavailable or ErrDamaged
	Err      error
	Hint     string // advice for a person, "" if there is none
	// Absent says that nothing answers there at all: nobody listens, no way leads there, or there is only silence. Otherwise
	// something is there that does not serve us.
	Absent bool
}

// Error names the endpoint, then the cause.
func (e *EndpointError) Error() string { return e.Endpoint + ": " + e.Err.Error() }

// Unwrap gives both the kind and the cause to errors.Is and errors.As.
func (e *EndpointError) Unwrap() []error { return []error{e.Kind, e.Err} }

// configError is a wrong setting, in words of its own.
func configError(format string, args ...any) error {
	return &kindError{ErrConfig, fmt.Errorf(format, args...)}
}

// configHint is a wrong setting as well, with advice on what to set.
func configHint(hint, format string, args ...any) error {
	return &hinted{configError(format, args...), hint}
}

type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

// Hint is advice for a person.
func (e *hinted) Hint() string { return e.hint }

// damaged is a fault of a snapshot file, in words of its own.
func damaged(format string, args ...any) error {
	return &kindError{ErrDamaged, fmt.Errorf(format, args...)}
}

// kindError gives an error its kind without saying it twice in the text.
type kindError struct{ kind, err error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }

// noEndpoint is the failure of all endpoints: each one's own, joined into one line.
type noEndpoint struct {
	what   string
	failed []*EndpointError
}

func (e *noEndpoint) Error() string {
	texts := make([]string, len(e.failed))
	for i, f := range e.failed {
		texts[i] = f.Error()
	}
	return e.what + ": " + strings.Join(texts, "; ")
}

// Failures are the endpoints that an error of Connect or Survey speaks of, each with its own reason.
func Failures(err error) []*EndpointError {
	var all *noEndpoint
	if errors.As(err, &all) {
		return all.failed
	}
	return nil
}

func (e *noEndpoint) Unwrap() []error {
	all := []error{ErrUnavailable}
	for _, f := range e.failed {
		all = append(all, f)
	}
	return all
}
