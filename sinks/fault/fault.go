// Package fault makes a sink fail on command, for tests: every call to it is counted and has a name, and at one of them (or from
// it on) it does what stores, networks and credentials do to people.
//
// It invents no failure that the contract of [sinks.Sink] excludes, but for one: with [EOF] a reader claims to be at its end
// too early, because a digest must not rest on a reader's word.
package fault

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Options say when to fail, and how.
type Options struct {
	// At picks the call to fail; nil fails none, and only counts. It is asked about every call in turn, one at a time, until the
	// fault was done.
	At func(Call) bool
	// Kind is what happens then.
	Kind Kind
	// Lasting keeps the sink failing in the same way from that call on.
	Lasting bool
	// Stall ends a hang as a provider's own deadline does, with sinks.ErrStalled; 0 is sinks.StallAfter. The end of the call's context
	// ends it as well.
	Stall time.Duration
	// Name gives the name under which a key is counted; nil takes the key. With names that do not depend on chance the calls of two
	// runs can be compared.
	Name func(key string) string
}

// An Op is a kind of call. Each Read of an opened object is one, and so is each step of a listing: one for every object and one for its end.
type Op string

// The calls of a sink.
const (
	Put    Op = "put"
	Open   Op = "open"
	Read   Op = "read"
	List   Op = "list"
	Delete Op = "delete"

	Checksum Op = "checksum"
)

// A Call is one call to the sink.
type Call struct {
	Op    Op
	Key   string // as Options.Name gives it; of a listing the prefix
	Nth   int    // among the calls of this op with this key, from 0
	Index int    // among all calls, from 0; where calls race, chance decides on it
}

func (c Call) String() string { return fmt.Sprintf("%s %s #%d", c.Op, c.Key, c.Nth) }

// Same tells whether two calls are each other's counterparts in two runs.
func (c Call) Same(d Call) bool { return c.Op == d.Op && c.Key == d.Key && c.Nth == d.Nth }

// Faults are those of one sink: what is to fail, what was called, and what has failed.
type Faults struct {
	o Options

	mu    sync.Mutex
	calls []Call
	nth   map[Call]int // by op and key alone
	done  int          // how many calls were failed

	lessNothing bool // an object's end was given where it was
}

// New makes the faults for one sink, which Of gives it.
func New(o Options) *Faults {
	o.Stall = cmp.Or(o.Stall, sinks.StallAfter)
	return &Faults{o: o, nth: make(map[Call]int)}
}

// Index picks a call by its place among all.
func Index(n int) func(Call) bool { return func(c Call) bool { return c.Index == n } }

// Calls returns the calls so far, in their order.
func (f *Faults) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Injected returns how many calls were failed: a test whose fault was not exercised has proved nothing.
func (f *Faults) Injected() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.done
}

// Honest reports whether the lie of a reader was the truth: nothing of the object was kept back.
func (f *Faults) Honest() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lessNothing
}

func (f *Faults) honest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lessNothing = true
}

// call counts a call and decides what becomes of it; "" lets it pass.
func (f *Faults) call(op Op, key string) Kind {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.o.Name != nil {
		key = f.o.Name(key)
	}
	same := Call{Op: op, Key: key}
	c := Call{Op: op, Key: key, Nth: f.nth[same], Index: len(f.calls)}
	f.nth[same]++
	f.calls = append(f.calls, c)
	switch {
	case f.done > 0 && !f.o.Lasting, f.done == 0 && (f.o.At == nil || !f.o.At(c)):
		return ""
	}
	f.done++
	return f.o.Kind
}

// sink is a sinks.Sink with faults.
type sink struct {
	*Faults
	inner sinks.Sink
}

// String returns the name of the sink behind.
func (s *sink) String() string { return fmt.Sprint(s.inner) }

// Put implements [sinks.Sink].
func (s *sink) Put(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	kind := s.call(Put, key)
	switch kind {
	case "":
		return s.inner.Put(ctx, key, body, size)
	case After:
		if err := s.inner.Put(ctx, key, body, size); err != nil {
			return err
		}
	case Short: // the connection breaks in the middle, and the store keeps nothing of it
		_, _ = io.Copy(io.Discard, io.NewSectionReader(body, 0, size/2))
	}
	return s.fail(ctx, kind, Put, key)
}

// Open implements [sinks.Sink].
func (s *sink) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	return s.open(ctx, Open, key, func() (io.ReadCloser, error) { return s.inner.Open(ctx, key, off) })
}

func (s *sink) open(ctx context.Context, op Op, key string, inner func() (io.ReadCloser, error)) (io.ReadCloser, error) {
	kind := s.call(op, key)
	if kind != "" && kind != After {
		return nil, s.fail(ctx, kind, op, key)
	}
	r, err := inner()
	if err != nil {
		return nil, err
	}
	if kind == After {
		_ = r.Close() // nobody will read it
		return nil, s.fail(ctx, kind, op, key)
	}
	return &reader{ReadCloser: r, ctx: ctx, s: s, key: key}, nil
}

// reader keeps its context, as io.Reader has no place for one.
type reader struct {
	io.ReadCloser
	ctx context.Context
	s   *sink
	key string
	err error // once it has failed it goes on failing
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	kind := r.s.call(Read, r.key)
	n := 0
	switch kind {
	case "":
		return r.ReadCloser.Read(p)
	case After: // what has come is good, and then it breaks
		var err error
		if n, err = r.ReadCloser.Read(p); err != nil && err != io.EOF {
			return n, err
		}
	case Short:
		var err error
		if n, err = r.ReadCloser.Read(p[:(len(p)+1)/2]); err != nil && err != io.EOF {
			return n, err
		}
	}
	if r.err = r.s.fail(r.ctx, kind, Read, r.key); kind == EOF {
		r.err = io.EOF // and not as an error of the sink: this is the lie
		if n, err := r.ReadCloser.Read(p); n == 0 && err == io.EOF {
			r.s.honest() // by chance: how many reads an object takes differs from run to run
		}
	}
	return n, r.err
}

// List implements [sinks.Sink].
func (s *sink) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return steps(ctx, s, List, prefix, s.inner.List(ctx, prefix))
}

// steps makes a listing of which every step can fail.
func steps[T any](ctx context.Context, s *sink, op Op, prefix string, inner iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for o, err := range inner {
			kind := s.call(op, prefix)
			switch {
			case kind == After && err == nil && !yield(o, nil):
				return
			case kind != "":
				yield(none, s.fail(ctx, kind, op, prefix))
				return
			case !yield(o, err) || err != nil:
				return
			}
		}
		if kind := s.call(op, prefix); kind != "" {
			yield(none, s.fail(ctx, kind, op, prefix))
		}
	}
}

// Delete implements [sinks.Sink].
func (s *sink) Delete(ctx context.Context, key string) error {
	return s.change(ctx, Delete, key, func() error { return s.inner.Delete(ctx, key) })
}

// change does what takes no bytes, or fails.
func (s *sink) change(ctx context.Context, op Op, key string, inner func() error) error {
	kind := s.call(op, key)
	if kind == "" {
		return inner()
	}
	if kind == After {
		if err := inner(); err != nil {
			return err
		}
	}
	return s.fail(ctx, kind, op, key)
}

// fail makes the error, after the wait if it is a hang.
func (s *sink) fail(ctx context.Context, kind Kind, op Op, key string) error {
	err := kind.cause()
	if kind == Hang {
		timer := time.NewTimer(s.o.Stall)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-timer.C:
		}
	}
	return &sinks.Error{Op: strings.Fields(string(op))[0], Sink: s.String(), Key: key, Err: err}
}
