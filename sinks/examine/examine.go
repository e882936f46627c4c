// Package examine puts a user's own sink to the test, as `lifeboat sink check` shows it: the contract of package conform under
// a fresh prefix, and what the bucket's settings mean for backups.
//
// It touches nothing outside that prefix, changes no setting, and removes what it has put, as far as the credential lets it; the
// rest it names.
package examine

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
)

// Root is the folder in a sink under which every examination takes a prefix of its own.
const Root = "lifeboat-check/"

// MaxDrift is how far this machine's clock may be from the store's. Stores refuse requests at some fifteen minutes.
const MaxDrift = 3 * time.Minute

// A State is what a question came to.
type State string

// The states. Only Failed means that the sink cannot be relied on.
const (
	OK      State = "ok"
	Failed  State = "failed"  // a promise of the contract is broken
	Advice  State = "advice"  // it works, and something should be otherwise
	Unknown State = "unknown" // it was not, or could not be, found out
)

// The kinds of results.
const (
	Contract = "contract" // what the sink does when it is used
	Posture  = "posture"  // what its settings and this credential mean
)

// A Result is one question and its answer.
type Result struct {
	Kind   string
	Name   string
	State  State
	Detail string // one line; may be empty where all is well
}

// A Report is what an examination found.
type Report struct {
	Results []Result
	Left    []sinks.Object // what could not be removed
	LeftWhy error          // why
}

// LeftBytes is the size of what could not be removed.
func (r Report) LeftBytes() (n int64) {
	for _, o := range r.Left {
		n += o.Size
	}
	return n
}

// Failed lists the promises that are broken.
func (r Report) Failed() (names []string) {
	for _, res := range r.Results {
		if res.State == Failed {
			names = append(names, res.Name)
		}
	}
	return names
}

// Options are how to go about it. The zero value will do.
type Options struct {
	Parallel int                                // checks at once; 4 if 0
	Remover  sinks.Sink                         // the same place under a credential that may delete; nil: the sink itself
	Progress func(done, total int, name string) // told of every check that ended, one at a time; may be nil
}

// Run examines a sink. An error means that there is nothing to report: the sink cannot be reached, listed or written; or that
// ctx ended, and then the report still tells what is left behind.
func Run(ctx context.Context, s sinks.Sink, o Options) (Report, error) {
	prefix := Root + strings.ToLower(rand.Text()[:13]) + "/"
	if o.Remover == nil {
		o.Remover = s
	}
	g := &guard{Sink: s, remover: o.Remover, has: map[string]int64{}}
	r := Report{}
	clock, err := probe(ctx, g, prefix+"probe")
	if err == nil {
		r.Results = checks(ctx, g, prefix, o)
		r.Results = append(r.Results, clock)
		if _, ok := s.(sinks.Restricted); ok { // who may delete is a matter of credentials there
			r.Results = append(r.Results, deleting(ctx, s, g, prefix+"delete"))
		}
		r.Results = append(r.Results, settings(ctx, s)...)
		r.Results = append(r.Results, unfinished(ctx, s)...)
	}
	if err == nil || g.tried() { // else nothing was put, and there is nothing to say but err
		r.Left, r.LeftWhy = sweep(context.WithoutCancel(ctx), g, prefix, ctx.Err() != nil)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return r, err
}

// probe puts one small object, learns from it what the store's clock says, and removes it, which tells whether that can be done.
func probe(ctx context.Context, g *guard, key string) (Result, error) {
	for _, err := range g.List(ctx, key) {
		if err != nil {
			return Result{}, err
		}
	}
	before := time.Now()
	if err := g.Put(ctx, key, bytes.NewReader([]byte("lifeboat sink check\n")), 20); err != nil {
		return Result{}, err
	}
	after := time.Now()
	clock := Result{Kind: Posture, Name: "clock", State: Unknown, Detail: "cannot tell: the store names no time"}
	for o, err := range g.List(ctx, key) {
		if err != nil {
			return Result{}, err
		}
		if o.Key == key && !o.ModTime.IsZero() {
			clock.State, clock.Detail = judgeClock(o.ModTime, before, after)
		}
	}
	err := g.Delete(ctx, key)
	if errors.Is(err, fs.ErrPermission) {
		g.keep(err)
		err = nil
	}
	return clock, err
}

// judgeClock compares the store's time of an object with when it was put. Stores round to seconds.
func judgeClock(stored, before, after time.Time) (State, string) {
	var drift time.Duration
	switch {
	case stored.Before(before.Truncate(time.Second)):
		drift = stored.Sub(before)
	case stored.After(after):
		drift = stored.Sub(after)
	}
	drift = drift.Round(time.Second)
	switch {
	case drift > MaxDrift:
		return Advice, fmt.Sprintf("the store's clock is %v ahead of this machine's: set the one that is wrong, ids and ages of backups come from this machine's", drift)
	case drift < -MaxDrift:
		return Advice, fmt.Sprintf("the store's clock is %v behind this machine's: set the one that is wrong, ids and ages of backups come from this machine's", -drift)
	}
	return OK, fmt.Sprintf("within %v of the store's", max(drift.Abs(), time.Second))
}

// checks holds the sink to the contract, a few promises at a time; one at a time where what is put stays.
func checks(ctx context.Context, g *guard, prefix string, o Options) []Result {
	all := conform.Checks()
	results := make([]Result, len(all))
	limit := o.Parallel
	switch {
	case g.why != nil:
		limit = 1
	case limit <= 0:
		limit = 4
	}
	var group errgroup.Group
	group.SetLimit(limit)
	var mu sync.Mutex
	done := 0
	for i, c := range all {
		group.Go(func() error {
			if ctx.Err() == nil {
				results[i] = g.judge(c.Name, c.Run(ctx, g, prefix))
				forgive(&results[i], g.Sink)
			}
			mu.Lock()
			defer mu.Unlock()
			if done++; o.Progress != nil {
				o.Progress(done, len(all), c.Name)
			}
			return nil // one broken promise must not keep the others from being tried
		})
	}
	_ = group.Wait() // always nil, see above
	return results
}

// forgive makes a lost race advice, where the sink was told that its store has no conditional writes: backups have names of their own, so
// none of them races.
func forgive(r *Result, s sinks.Sink) {
	known, ok := s.(sinks.Conditional)
	race := slices.ContainsFunc(conform.Races(), func(c sinks.Check) bool { return c.Name == r.Name })
	if r.State == Failed && race && ok && !known.Conditional() {
		r.State, r.Detail = Advice, "conditional writes are turned off: only the random part of names keeps writers apart"
	}
}

// settings asks a sink that knows for what its bucket is set to.
func settings(ctx context.Context, s sinks.Sink) []Result {
	known, ok := s.(sinks.Examined)
	if !ok {
		return nil
	}
	var results []Result
	for _, f := range known.Examine(ctx, "v1/") {
		r := Result{Kind: Posture, Name: f.Name, State: Advice, Detail: f.Detail}
		switch {
		case f.OK:
			r.State = OK
		case f.Unknown:
			r.State = Unknown
		}
		results = append(results, r)
	}
	return results
}
