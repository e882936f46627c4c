// Package observe serves what is known of backups as Prometheus metrics: what the sinks tell of each cluster, read again and again, and what the jobs of
// a service did.
//
// It refuses to make whoever scrapes it wait for a sink, or to make them ask one: a scrape shows what was read last. It knows nothing of sinks or
// backups itself; somebody gives it functions that read one cluster each. Labels are from closed sets, or names that stand in a configuration.
package observe

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A Target is a cluster whose sinks are read.
type Target struct {
	Cluster string
	Plan    Plan
	// Read reads them. One that does not heed the end of its context holds up nobody: what it brings later does not count, and it is not called again before
	// it has returned.
	Read func(context.Context) (Facts, error)
}

// Options are what holds for all readings.
type Options struct {
	Interval time.Duration // between two readings of a cluster
	Limit    time.Duration // of one reading
	Parallel int           // how many clusters are read at once
	Codes    []string      // all that Facts.Attention may have
	Log      *slog.Logger
}

// An Observer reads clusters and shows what they told. It is a [prometheus.Collector].
type Observer struct {
	Options
	evidence *evidence
	slots    chan struct{} // one in it for each reading that goes on
	late     chan struct{} // the same, of clusters whose last reading was not done in time: half of the places are for the others
	changed  chan struct{} // the set of clusters is another one

	mu       sync.Mutex
	clusters map[string]*watched
	ready    bool
}

// New makes an observer, which reads nothing before Run.
func New(o Options) *Observer {
	return &Observer{
		Options: o, evidence: newEvidence(o.Codes), slots: make(chan struct{}, max(o.Parallel, 1)), late: make(chan struct{}, max(o.Parallel/2, 1)),
		changed: make(chan struct{}, 1), clusters: map[string]*watched{},
	}
}

// Replace gives the observer another set of clusters. What is known of those that are in both stays; nothing more is shown of those that are gone.
func (o *Observer) Replace(targets []Target) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.clusters
	if len(before) > 0 {
		o.everyTried()
	}
	o.clusters = make(map[string]*watched, len(targets))
	for _, t := range targets {
		w := before[t.Cluster]
		if w == nil {
			w = &watched{again: make(chan struct{}, 1)}
		}
		w.set(t)
		o.clusters[t.Cluster] = w
		w.readAgain() // sinks or keys may be others now
	}
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// Again has a cluster read at once: something was just done with it.
func (o *Observer) Again(cluster string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w := o.clusters[cluster]; w != nil {
		w.readAgain()
	}
}

// Ready reports whether it was tried to read every cluster, since the start. Those that came later do not take it back.
func (o *Observer) Ready() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.everyTried()
}

// everyTried is for whoever holds the lock.
func (o *Observer) everyTried() bool {
	for _, w := range o.clusters {
		if o.ready {
			break
		}
		if !w.wasTried() {
			return false
		}
	}
	o.ready = true
	return true
}

// Describe implements [prometheus.Collector].
func (o *Observer) Describe(ch chan<- *prometheus.Desc) { o.evidence.describe(ch) }

// Collect implements [prometheus.Collector].
func (o *Observer) Collect(ch chan<- prometheus.Metric) {
	o.mu.Lock()
	all := maps.Clone(o.clusters)
	o.mu.Unlock()
	for name, w := range all {
		w.show(shown{o.evidence, ch, name})
	}
}

// Run reads until ctx ends, and then returns at once.
func (o *Observer) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	running := map[*watched]context.CancelFunc{}
	for {
		current := o.current()
		for w, stop := range running {
			if !slices.Contains(current, w) {
				stop()
				delete(running, w)
			}
		}
		for _, w := range current {
			if running[w] != nil {
				continue
			}
			each, stop := context.WithCancel(ctx)
			running[w] = stop
			all.Go(func() { o.watch(each, w) })
		}
		select {
		case <-o.changed:
		case <-ctx.Done():
			for _, stop := range running {
				stop()
			}
			return
		}
	}
}

// current are the clusters in the order in which they are read where several are due.
func (o *Observer) current() []*watched {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.SortedFunc(maps.Values(o.clusters), func(a, b *watched) int { return cmp.Compare(share(a.name()), share(b.name())) })
}

// watch reads one cluster when it is due.
func (o *Observer) watch(ctx context.Context, w *watched) {
	for ctx.Err() == nil {
		select {
		case <-w.again: // that is now
		default:
		}
		o.read(ctx, w)
		due := time.NewTimer(time.Until(o.next(w.name(), time.Now())))
		select {
		case <-due.C:
		case <-w.again:
		case <-ctx.Done():
		}
		due.Stop()
	}
}

// next is when a cluster is to be read again. Its place in the interval is decided by its name, so that many are spread and stay so.
func (o *Observer) next(cluster string, now time.Time) time.Time {
	at := now.Truncate(o.Interval).Add(time.Duration(share(cluster) * float64(o.Interval)))
	for at.Sub(now) <= o.Interval/2 {
		at = at.Add(o.Interval)
	}
	return at
}

// share is a place between 0 and 1 that a name always has.
func share(name string) float64 {
	sum := sha256.Sum256([]byte(name))
	return float64(binary.BigEndian.Uint32(sum[:4])) / (1 << 32)
}

// place waits until a cluster may be read. free gives the place back; it is nil if ctx ended before.
func (o *Observer) place(ctx context.Context, w *watched) (free func()) {
	places := []chan struct{}{o.slots}
	if w.wasLate() {
		places = []chan struct{}{o.late, o.slots}
	}
	var taken []chan struct{}
	free = func() {
		for _, p := range taken {
			<-p
		}
	}
	for _, p := range places {
		select {
		case p <- struct{}{}:
			taken = append(taken, p)
		case <-ctx.Done():
			free()
			return nil
		}
	}
	return free
}

// read reads a cluster once there is a place for it.
func (o *Observer) read(ctx context.Context, w *watched) {
	free := o.place(ctx, w)
	if free == nil {
		return
	}
	limited, stop := context.WithTimeout(ctx, o.Limit)
	defer stop()
	type outcome struct {
		facts Facts
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		f, err := tryRead(limited, w.read())
		done <- outcome{f, err}
	}()
	select {
	case r := <-done:
		free()
		if r.err != nil && limited.Err() != nil { // it heeds the end of its context, which may win the race to here
			r.err = fmt.Errorf("%w within %s: %w", errLate, o.Limit, r.err)
		}
		if ctx.Err() == nil {
			w.keep(o.Log, r.facts, r.err)
		}
	case <-limited.Done():
		free()
		if ctx.Err() != nil {
			return
		}
		w.keep(o.Log, Facts{}, fmt.Errorf("%w within %s", errLate, o.Limit))
		select { // a volume that hangs: one call that never returns is enough
		case <-done:
		case <-ctx.Done():
		}
	}
}

// errLate is what a reading ends with that the limit ended.
var errLate = errors.New("its sinks were not read")

// tryRead reads, and makes an error of a panic: the other clusters must not end with this one.
func tryRead(ctx context.Context, read func(context.Context) (Facts, error)) (f Facts, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return read(ctx)
}
