package examine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
)

const (
	// maxKept and maxKeptObjects bound what each check may leave behind where nothing can be removed: it stays for as long as a
	// lock holds it, and is paid for. One object in parts is let through besides, because backups are put like that.
	maxKept        = 64 << 10
	maxKeptObjects = 32

	sweepTimeout = 2 * time.Minute

	// straggling is for how long nothing new may show before the requests that were given up count as over: stores carry some out
	// after the connection is gone.
	straggling = 3 * time.Second
)

var (
	errKept    = errors.New("what is put here cannot be removed")
	errTooMuch = errors.New("the check would leave too much behind")
)

// A guard stands between the checks and the sink: it removes by another credential if there is one, and where nothing can be
// removed it asks nothing to be, and lets little be put.
type guard struct {
	sinks.Sink
	remover sinks.Sink
	why     error // why nothing can be removed; nil: it can

	mu      sync.Mutex
	has     map[string]int64 // what was put, and its size, where it stays
	inParts string           // the one object in parts that was let through
	maybe   bool             // something was put, or may have been: the store could not be asked any more
}

// tried tells whether anything may have been put.
func (g *guard) tried() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.maybe
}

// refused tells whether an error of Put is the store's word that nothing was put.
func refused(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, sinks.ErrNoBucket)
}

// keep makes the guard expect that whatever is put stays.
func (g *guard) keep(why error) { g.why = why }

// PartSize is the size in bytes from which the sink may work in parts.
func (g *guard) PartSize() int64 {
	if p, ok := g.Sink.(interface{ PartSize() int64 }); ok {
		return p.PartSize()
	}
	return 1 << 20
}

// Checksum implements [sinks.Checksummed], as far as the sink does.
func (g *guard) Checksum(ctx context.Context, key string) (sinks.Checksum, error) {
	return sinks.ChecksumOf(ctx, g.Sink, key)
}

// Put implements [sinks.Sink].
func (g *guard) Put(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	if g.why != nil && size >= 0 && sinks.CheckKey(key) == nil && !g.allow(key, size) {
		return &sinks.Error{Op: "put", Sink: fmt.Sprint(g.Sink), Key: key, Err: errTooMuch}
	}
	err := g.Sink.Put(ctx, key, body, size)
	if err == nil || !refused(err) {
		g.mu.Lock()
		g.maybe = true
		g.mu.Unlock()
	}
	if err == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.has[key] = size
	}
	return err
}

// allow tells whether an object may be put that will stay. What is there already cannot be put again.
func (g *guard) allow(key string, size int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.has[key]; ok {
		return true
	}
	if part := g.PartSize(); g.inParts == "" && size > part && size <= part+1 {
		g.inParts = key
		return true
	}
	if key == g.inParts {
		return true
	}
	var bytes int64
	objects := 0
	for k, n := range g.has {
		if folder(k) == folder(key) && k != g.inParts {
			bytes += n
			objects++
		}
	}
	return bytes+size <= maxKept && objects < maxKeptObjects
}

// folder is the part of a key that a check has for itself.
func folder(key string) string {
	parts := strings.SplitN(key, "/", 4) // lifeboat-check/RANDOM/CHECK/…
	return strings.Join(parts[:min(3, len(parts))], "/")
}

// Delete implements [sinks.Sink].
func (g *guard) Delete(ctx context.Context, key string) error {
	if g.why != nil && ctx.Err() == nil && sinks.CheckKey(key) == nil {
		return &sinks.Error{Op: "delete", Sink: fmt.Sprint(g.Sink), Key: key, Err: errKept}
	}
	return g.remover.Delete(ctx, key)
}

// judge says what a check's end means.
func (g *guard) judge(name string, err error) Result {
	r := Result{Kind: Contract, Name: name}
	var cleanup *conform.CleanupError
	switch {
	case err == nil, errors.As(err, &cleanup) && errors.Is(err, errKept):
		r.State = OK
	case errors.Is(err, errTooMuch):
		r.State, r.Detail = Unknown, "not tested: it would leave much behind, which this credential could not remove"
	case errors.Is(err, errKept):
		r.State, r.Detail = Unknown, "not tested: it takes deleting, which this credential may not do here"
	default:
		r.State, r.Detail = Failed, strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return r
}

// deleting tries, on an object of its own, whether the sink's own credential can remove a backup.
func deleting(ctx context.Context, s sinks.Sink, g *guard, key string) Result {
	r := Result{Kind: Posture, Name: "this credential cannot delete", State: OK}
	err := g.why
	if g.remover != s {
		if err = s.Put(ctx, key, bytes.NewReader(nil), 0); err == nil {
			err = s.Delete(ctx, key)
		}
	}
	switch {
	case err == nil:
		r.State = Advice
		r.Detail = "it can, and so could whoever steals it: give backup one that cannot (lifeboat sink policy), and prune another"
	case errors.Is(err, fs.ErrPermission):
		r.Detail = "it was refused"
		if cause := errors.Unwrap(err); cause != nil {
			r.Detail += ": " + cause.Error()
		}
	default:
		r.State, r.Detail = Unknown, "cannot tell: "+err.Error()
	}
	return r
}

// sweep removes all that is left below the prefix, and returns what it could not remove, and why. After requests were given up it
// looks until nothing more shows.
func sweep(ctx context.Context, g *guard, prefix string, givenUp bool) (left []sinks.Object, why error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	_, objects, uploads := sweepOnce(ctx, g, prefix)
	for quiet := time.Now(); givenUp && objects == nil && uploads == nil && time.Since(quiet) < straggling; {
		select {
		case <-ctx.Done():
		case <-time.After(straggling / 10):
		}
		var found int
		if found, objects, uploads = sweepOnce(ctx, g, prefix); found > 0 {
			quiet = time.Now()
		}
	}
	why = errors.Join(g.why, objects)
	for o, err := range g.List(ctx, prefix) {
		if err != nil {
			return left, errors.Join(why, fmt.Errorf("looking what is left: %w", err))
		}
		left = append(left, o)
	}
	if tidy, ok := g.Sink.(interface {
		Tidy(ctx context.Context, folder string) error
	}); ok && len(left) == 0 {
		_ = tidy.Tidy(ctx, strings.TrimSuffix(prefix, "/")) // empty folders are no harm, and somebody may be using one
	}
	if len(left) == 0 {
		why = nil
	}
	return left, errors.Join(why, uploads)
}

// sweepOnce removes the objects below the prefix, if any can be, and gives up the uploads, and tells how many there were and what failed.
func sweepOnce(ctx context.Context, g *guard, prefix string) (found int, objects, uploads error) {
	if g.why == nil {
		found, objects = removeAll(ctx, g, prefix)
	}
	given, uploads := giveUp(ctx, g.remover, prefix)
	return found + given, objects, uploads
}

func removeAll(ctx context.Context, g *guard, prefix string) (found int, why error) {
	var failed, listed error
	var mu sync.Mutex // guards failed
	var group errgroup.Group
	group.SetLimit(16)
	for o, err := range g.List(ctx, prefix) {
		if err != nil {
			listed = err
			break
		}
		found++
		group.Go(func() error {
			if err := g.Delete(ctx, o.Key); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = err // one tells enough
			}
			return nil
		})
	}
	_ = group.Wait() // always nil
	return found, errors.Join(failed, listed)
}
