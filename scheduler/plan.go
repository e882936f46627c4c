package scheduler

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// lookEvery is how long the plan sleeps at most: timers stand still with a machine that sleeps, and clocks are set.
	lookEvery = time.Minute
	// onTime is how late a job may begin without anybody asking whether it was done meanwhile.
	onTime = time.Minute
)

// plan is the state of a scheduler. One goroutine holds it; jobs that run have one each, and nothing else has any.
type plan struct {
	Options
	entries  map[jobID]*entry
	upcoming queue    // by when they begin, or are tried again
	waiting  []*entry // those whose time has come, in the order they will begin
	running  map[string]*running
	finished chan *running
	looked   time.Time
	turned   *atomic.Pointer[time.Time] // when the loop last went round, for others to see
}

type jobID struct{ cluster, name string }

// entry is a job in the plan.
type entry struct {
	Job
	rank, order int // its place among the jobs of its cluster, and among all

	slot, begins time.Time // the slot to come, and when its job begins

	tried        int       // how often the job ran for its last slot
	first, again time.Time // when it did so first, and when it is tried again; zero for not at all

	missed time.Time // while it waits: the first slot it waits for, zero for one from before the start
	since  time.Time // while it waits: when it was to begin
	ask    bool      // while it waits: it may be done already
}

// running is a job that runs.
type running struct {
	Event
	entry  *entry
	urgent bool
	cancel context.CancelCauseFunc
}

func newPlan(o Options) *plan {
	return &plan{Options: o, entries: map[jobID]*entry{}, running: map[string]*running{}, finished: make(chan *running), turned: &atomic.Pointer[time.Time]{}}
}

// run is the life of the plan.
func (p *plan) run(ctx context.Context, replaced <-chan []Job) (abandoned int) {
	jobs := context.WithoutCancel(ctx)
	stop := ctx.Done()
	var grace <-chan time.Time
	timer := time.NewTimer(0)
	defer timer.Stop()
	for stop != nil || len(p.running) > 0 {
		turned := time.Now()
		p.turned.Store(&turned)
		if stop != nil && ctx.Err() == nil {
			now := wallClock()
			p.look(now)
			p.begin(jobs, now)
			timer.Reset(p.rest(now))
		}
		select {
		case <-timer.C:
		case r := <-p.finished:
			p.end(r)
		case set := <-replaced:
			p.replace(set, wallClock())
		case <-stop:
			stop, replaced = nil, nil
			timer.Stop()
			grace = time.After(p.Grace)
		case <-grace:
			abandoned = len(p.running)
			for _, r := range p.running {
				r.cancel(context.Cause(ctx))
			}
		}
	}
	return abandoned
}

// rest is how long nothing is to be done.
func (p *plan) rest(now time.Time) time.Duration {
	if len(p.upcoming) == 0 {
		return lookEvery
	}
	return min(max(p.upcoming[0].next().Sub(now), 0), lookEvery)
}

// replace makes jobs the set of what is planned.
func (p *plan) replace(jobs []Job, now time.Time) {
	before := p.entries
	p.entries, p.upcoming, p.waiting = map[jobID]*entry{}, nil, slices.Clone(p.waiting)
	ranks := map[string]int{}
	for i, j := range jobs {
		id := jobID{j.Cluster, j.Name}
		e, known := before[id]
		switch {
		case !known:
			e = &entry{Job: j}
			e.plan(now)
			if j.Last != nil {
				p.wait(e, time.Time{}, now, true)
			}
		case e.Schedule.String() != j.Schedule.String() || e.Jitter != j.Jitter:
			e.Job = j
			e.plan(now)
		}
		e.Job, e.rank, e.order = j, ranks[j.Cluster], i
		ranks[j.Cluster]++
		p.entries[id] = e
		if !e.slot.IsZero() {
			p.upcoming = append(p.upcoming, e)
		}
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(e *entry) bool { return p.entries[jobID{e.Cluster, e.Name}] != e })
	slices.SortStableFunc(p.waiting, byTurn)
	heap.Init(&p.upcoming)
}

// plan finds the slot after now. What is to be tried again for another is done with.
func (e *entry) plan(now time.Time) {
	e.tried, e.again = 0, time.Time{}
	if e.slot = e.Schedule.Next(now); !e.slot.IsZero() {
		e.begins = e.due(e.slot)
	}
}

// look moves the jobs whose time has come to those that wait.
func (p *plan) look(now time.Time) {
	if now.Before(p.looked.Add(-lookEvery)) { // the clock was set back: what was planned by a wrong clock may be years away
		for _, e := range p.upcoming {
			e.plan(now)
		}
		heap.Init(&p.upcoming)
	}
	p.looked = now
	for len(p.upcoming) > 0 && !p.upcoming[0].next().After(now) {
		e := p.upcoming[0]
		if at := e.again; !at.IsZero() && e.begins.After(now) {
			e.again = time.Time{}
			p.wait(e, e.missed, at, false)
			heap.Fix(&p.upcoming, 0)
			continue
		}
		p.wait(e, e.slot, e.begins, false)
		e.plan(now)
		if e.slot.IsZero() {
			heap.Pop(&p.upcoming)
		} else {
			heap.Fix(&p.upcoming, 0)
		}
	}
}

// wait puts a job among those that wait. One that waits already goes on waiting: all its slots are one run.
func (p *plan) wait(e *entry, slot, since time.Time, ask bool) {
	if slices.Contains(p.waiting, e) {
		return
	}
	e.missed, e.since, e.ask = slot, since, ask
	at, _ := slices.BinarySearchFunc(p.waiting, e, byTurn)
	p.waiting = slices.Insert(p.waiting, at, e)
}

// byTurn orders those that wait: the urgent before the others; then who was to begin earlier; at the same time all first jobs of clusters before all
// second ones.
func byTurn(a, b *entry) int {
	if a.Urgent != b.Urgent {
		if a.Urgent {
			return -1
		}
		return 1
	}
	return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.rank, b.rank), cmp.Compare(a.order, b.order))
}

// begin starts of those that wait as many as may run.
func (p *plan) begin(ctx context.Context, now time.Time) {
	for i := 0; i < len(p.waiting) && len(p.running) < p.Parallel; {
		e := p.waiting[i]
		if p.running[e.Cluster] != nil || !e.Urgent && p.patient() >= max(p.Parallel-1, 1) {
			i++
			continue
		}
		p.waiting = slices.Delete(p.waiting, i, i+1)
		p.start(ctx, e, now)
	}
}

// patient counts what runs and is not urgent: rehearsals of many clusters, which take minutes each, must not be in the way of every backup.
func (p *plan) patient() (n int) {
	for _, r := range p.running {
		if !r.urgent {
			n++
		}
	}
	return n
}

func (p *plan) start(ctx context.Context, e *entry, now time.Time) {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &running{entry: e, urgent: e.Urgent, cancel: cancel, Event: Event{Cluster: e.Cluster, Job: e.Name, Slot: e.missed, Waited: max(now.Sub(e.since), 0)}}
	p.running[e.Cluster] = r
	if !e.slot.After(now) { // late as it is, it is late enough for this slot, too, whose job was to begin after the slot
		e.plan(now)
		heap.Init(&p.upcoming)
	}
	r.Try = e.tries(now)
	job, ask := e.Job, e.Last != nil && (e.ask || r.Waited > onTime)
	go func() {
		r.do(ctx, job, ask)
		p.finished <- r
	}()
}

// do runs the job, or finds that there is no need to.
func (r *running) do(ctx context.Context, j Job, ask bool) {
	began := time.Now()
	defer func() {
		r.Took = time.Since(began)
		if v := recover(); v != nil { // the jobs of other clusters must not end with this one
			r.Err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	if j.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, j.Timeout, &TimeoutError{j.Timeout})
		defer stop()
	}
	if ask {
		success, ok := j.Last(ctx)
		if r.Fresh = ok && j.fresh(success, wallClock()); r.Fresh {
			return
		}
	}
	r.Err = j.Run(ctx)
}

// end takes note of a job that has returned.
func (p *plan) end(r *running) {
	r.cancel(nil)
	delete(p.running, r.Cluster)
	if e := r.entry; p.entries[jobID{e.Cluster, e.Name}] == e && !e.slot.IsZero() {
		p.tryAgain(e, r.Err, wallClock())
		r.Next = e.next()
		if slices.Contains(p.waiting, e) {
			r.Next = e.since
		}
	}
	p.Observe(r.Event)
}

// queue is a heap of jobs by when they begin.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].next().Before(q[j].next()) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements [heap.Interface].
func (q *queue) Push(e any) { *q = append(*q, e.(*entry)) }

// Pop implements [heap.Interface].
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}
