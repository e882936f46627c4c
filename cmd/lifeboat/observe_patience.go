package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// A store that does not answer must neither keep an observer from what the other sinks of a cluster tell, nor, because hundreds of clusters have it,
// from all the others. So nobody waits for it for long, and once it was silent one asks for all.

// errSilent is the cause of a context that ended because nothing came from a store.
var errSilent = errors.New("no answer")

// patience is how long is waited for stores, and which of them were silent.
type patience struct {
	limit time.Duration // for an object, or for the next one of a listing
	rest  time.Duration // how long nobody asks one that was silent, but one who tries

	mu     sync.Mutex
	silent map[string]time.Time // until when, by the name of the sink
}

// with makes sinks that end their calls after so long.
func (p *patience) with(all []catalog.Named) []catalog.Named {
	bounded := make([]catalog.Named, len(all))
	for i, n := range all {
		h := hasty{n.Sink, p, n.Name}
		bounded[i] = catalog.Named{Name: n.Name, Sink: h}
		if v, ok := n.Sink.(sinks.Versioned); ok {
			bounded[i].Sink = hastyVersioned{h, v}
		}
	}
	return bounded
}

// mayAsk reports whether a sink may be asked now. Who is let through to one that was silent tries it for all.
func (p *patience) mayAsk(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, silent := p.silent[name]
	switch now := time.Now(); {
	case !silent:
		return true
	case now.Before(until):
		return false
	default:
		p.silent[name] = now.Add(p.rest)
		return true
	}
}

// heard takes note of whether a sink answered.
func (p *patience) heard(name string, anything bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case anything:
		delete(p.silent, name)
	case p.silent == nil:
		p.silent = map[string]time.Time{name: time.Now().Add(p.rest)}
	default:
		p.silent[name] = time.Now().Add(p.rest)
	}
}

// hasty is a sink whose calls end when nothing comes for too long.
type hasty struct {
	sinks.Sink
	p    *patience
	name string
}

// A wait is for one call.
type wait struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	h      hasty
	op     string
	key    string
}

// begin begins to wait; it is an error for a sink that was silent.
func (h hasty) begin(ctx context.Context, op, key string) (*wait, error) {
	w := &wait{h: h, op: op, key: key}
	if !h.p.mayAsk(h.name) {
		return nil, w.fail()
	}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(h.p.limit, func() { w.cancel(errSilent) })
	return w, nil
}

func (w *wait) fail() error {
	return &sinks.Error{Op: w.op, Sink: w.h.name, Key: w.key, Err: sinks.Because(fmt.Sprintf("it did not answer within %s", w.h.p.limit), sinks.ErrStalled)}
}

// end ends waiting, and says what the error of the call is.
func (w *wait) end(err error) error {
	w.timer.Stop()
	silent := errors.Is(context.Cause(w.ctx), errSilent)
	if silent || err == nil {
		w.h.p.heard(w.h.name, !silent)
	}
	w.cancel(nil)
	if silent {
		return w.fail()
	}
	return err
}

// list waits for each object of a listing; what is done with one does not count.
func (h hasty) list(ctx context.Context, prefix string, from func(context.Context, string) iter.Seq2[sinks.Object, error]) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		w, err := h.begin(ctx, "list", prefix)
		if err != nil {
			yield(sinks.Object{}, err)
			return
		}
		for o, err := range from(w.ctx, prefix) {
			w.timer.Stop()
			if err != nil {
				yield(o, w.end(err))
				return
			}
			if !yield(o, nil) {
				break
			}
			w.timer.Reset(h.p.limit)
		}
		_ = w.end(nil) // everything came
	}
}

// timedReader is an object that is read; its time is over when it is closed.
type timedReader struct {
	io.ReadCloser
	w *wait
}

// Read implements [io.Reader].
func (r timedReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	if err != nil && errors.Is(context.Cause(r.w.ctx), errSilent) {
		err = r.w.fail()
	}
	return n, err
}

// Close implements [io.Closer].
func (r timedReader) Close() error { return r.w.end(r.ReadCloser.Close()) }

func (h hasty) open(ctx context.Context, key string, from func(context.Context) (io.ReadCloser, error)) (io.ReadCloser, error) {
	w, err := h.begin(ctx, "open", key)
	if err != nil {
		return nil, err
	}
	r, err := from(w.ctx)
	if err != nil {
		return nil, w.end(err)
	}
	return timedReader{r, w}, nil
}

// List implements [sinks.Sink].
func (h hasty) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return h.list(ctx, prefix, h.Sink.List)
}

// Open implements [sinks.Sink].
func (h hasty) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	return h.open(ctx, key, func(ctx context.Context) (io.ReadCloser, error) { return h.Sink.Open(ctx, key, off) })
}

// hastyVersioned is the same for a store that may keep versions.
type hastyVersioned struct {
	hasty
	v sinks.Versioned
}

// Versions implements [sinks.Versioned].
func (h hastyVersioned) Versions(ctx context.Context, key string) ([]sinks.Version, error) {
	w, err := h.begin(ctx, "list", key)
	if err != nil {
		return nil, err
	}
	all, err := h.v.Versions(w.ctx, key)
	return all, w.end(err)
}

// OpenVersion implements [sinks.Versioned].
func (h hastyVersioned) OpenVersion(ctx context.Context, key, version string, off int64) (io.ReadCloser, error) {
	return h.open(ctx, key, func(ctx context.Context) (io.ReadCloser, error) { return h.v.OpenVersion(ctx, key, version, off) })
}

// Hidden implements [sinks.Versioned].
func (h hastyVersioned) Hidden(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return h.list(ctx, prefix, h.v.Hidden)
}
