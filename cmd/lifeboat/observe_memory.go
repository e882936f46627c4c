package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Manifests, marks and reports never change, and stores charge for every one that is fetched. So an observer that reads every minute fetches
// only those that are new: what a listing shows with the same size and time as before is not asked for again.

// memoryBudget bounds the notes that are kept of all clusters, in bytes. Those that find no room are fetched every time.
const memoryBudget = 64 << 20

// memoryLasts is after how long a note is fetched again at the latest: size and time are those of another one, too, where somebody means them to be.
const memoryLasts = 24 * time.Hour

// memory keeps the notes of one cluster.
type memory struct {
	left *atomic.Int64 // of the budget of all

	mu   sync.Mutex
	kept map[noteAt]keptNote
}

type noteAt struct{ sink, key string }

type keptNote struct {
	edition
	data  []byte
	until time.Time
}

// edition tells an object from another one that took its name.
type edition struct {
	size int64
	at   time.Time
}

// A pass is one reading with a memory.
type pass struct {
	*memory
	mu     sync.Mutex
	listed map[noteAt]edition
}

func (m *memory) begin() *pass { return &pass{memory: m, listed: map[noteAt]edition{}} }

// with makes sinks that are asked only for what is not known.
func (p *pass) with(all []catalog.Named) []catalog.Named {
	known := make([]catalog.Named, len(all))
	for i, n := range all {
		r := remembering{n.Sink, p, n.Name}
		known[i] = catalog.Named{Name: n.Name, Sink: r}
		if v, ok := n.Sink.(sinks.Versioned); ok {
			known[i].Sink = rememberingVersioned{r, v}
		}
	}
	return known
}

// end forgets what no listing showed any more.
func (p *pass) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	for at, note := range p.kept {
		if p.listed[at] != note.edition {
			p.left.Add(int64(len(note.data)))
			delete(p.kept, at)
		}
	}
}

func (p *pass) sees(at noteAt, o sinks.Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listed[at] = edition{o.Size, o.ModTime}
}

// seen is the edition that was listed, if one was whose time the store tells.
func (p *pass) seen(at noteAt) (edition, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.listed[at]
	return e, !e.at.IsZero()
}

// recall returns a note that is known and has not changed.
func (p *pass) recall(at noteAt) ([]byte, bool) {
	is, listed := p.seen(at)
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	note, known := p.kept[at]
	return note.data, known && listed && note.edition == is && time.Now().Before(note.until)
}

// learn keeps a note, if it is the one that was listed and there is room for it.
func (p *pass) learn(at noteAt, data []byte) {
	is, listed := p.seen(at)
	size := int64(len(data))
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	if !listed || is.size != size {
		return
	}
	if old, known := p.kept[at]; known {
		p.left.Add(int64(len(old.data)))
		delete(p.kept, at)
	}
	if p.left.Add(-size) < 0 {
		p.left.Add(size)
		return
	}
	if p.kept == nil {
		p.kept = map[noteAt]keptNote{}
	}
	// Those that are kept together are not all fetched again together.
	lasts := memoryLasts/2 + rand.N(memoryLasts/2)
	p.kept[at] = keptNote{is, data, time.Now().Add(lasts)}
}

// remembering is a sink in front of which there is a memory.
type remembering struct {
	sinks.Sink
	p    *pass
	name string
}

// rememberingVersioned is the same for a store that may keep versions, which are fetched every time.
type rememberingVersioned struct {
	remembering
	sinks.Versioned
}

// List implements [sinks.Sink].
func (r remembering) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		for o, err := range r.Sink.List(ctx, prefix) {
			if err == nil && strings.HasSuffix(o.Key, ".note") {
				r.p.sees(noteAt{r.name, o.Key}, o)
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// Open implements [sinks.Sink].
func (r remembering) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	at := noteAt{r.name, key}
	if data, known := r.p.recall(at); known && off == 0 {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	body, err := r.Sink.Open(ctx, key, off)
	if _, listed := r.p.seen(at); err != nil || !listed || off != 0 {
		return body, err
	}
	return &learning{ReadCloser: body, p: r.p, at: at}, nil
}

// learning is a note that is read, and kept once all of it came.
type learning struct {
	io.ReadCloser
	p    *pass
	at   noteAt
	data []byte
}

// Read implements [io.Reader].
func (l *learning) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b)
	l.data = append(l.data, b[:n]...)
	if errors.Is(err, io.EOF) {
		l.p.learn(l.at, bytes.Clone(l.data))
	}
	return n, err
}
