// Package scheduler decides when jobs run: by cron schedules in time zones, one job of a cluster at a time, so many at once over all
// clusters, each slot once.
//
// It refuses to run a job twice for one slot, to run more than one job for all the slots that passed while it could not, and to forget a slot
// because it was busy. It knows nothing of what jobs do, keeps nothing on a disk, and takes the time from package time only, so that a test can
// live through a year of it. A job that fails is tried again for its slot where the job says that this may help.
package scheduler

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
)

// A Job is something that is done for a cluster again and again. Cluster and Name together tell it from all others.
type Job struct {
	Cluster  string
	Name     string
	Schedule Schedule
	Jitter   time.Duration // how much later than its slot it may begin; how much it is, its cluster and name decide
	Urgent   bool          // it goes before those that are not, and of the places for jobs one is kept for such
	Timeout  time.Duration // its context ends after so long, with a *TimeoutError as the cause; 0: never

	// Run does it.
	Run func(ctx context.Context) error
	// Last tells when the newest success began, whoever had it; zero if there was none. It is asked before a job that may be late runs; ok is
	// false where nobody can say, and then it runs. A nil Last says that nothing tells: then no slot from before the start is made up for.
	Last func(ctx context.Context) (began time.Time, ok bool)
	// Again tells by the error of a run whether the job may succeed without anybody's doing, so that it is tried again after a minute, after two more,
	// four more and so on up to an hour, as long as that is in the first half of the way to its next slot. A nil Again says no.
	Again func(err error) bool
}

// TimeoutError is the cause of a context that a job's Timeout ended.
type TimeoutError struct{ After time.Duration }

func (e *TimeoutError) Error() string { return fmt.Sprintf("not done after %s", e.After) }

// An Event is the end of a job's turn.
type Event struct {
	Cluster string
	Job     string
	Slot    time.Time     // the first slot that it was for; zero for one from before the start
	Try     int           // 1; more where it was tried again for this slot
	Waited  time.Duration // how much later than it was to begin it began
	Took    time.Duration
	Fresh   bool      // it was not run: Last told of a success for the newest slot
	Err     error     // what Run returned
	Next    time.Time // when it is to begin the next time; zero if it is not any more
}

// Options are what holds for all jobs.
type Options struct {
	Parallel int           // how many jobs run at once, one of them an urgent one unless it is 1; less than 1 means 1
	Grace    time.Duration // how long jobs that run may go on after the end of Run's context
	// Observe is told of every event, one after the other. Nothing is planned before it returns.
	Observe func(Event)
}

// A Scheduler runs jobs.
type Scheduler struct {
	Options
	replace chan []Job
	over    chan struct{} // closed at the end of Run
	turned  atomic.Pointer[time.Time]
}

// New makes a scheduler, which does nothing before Run.
func New(o Options) *Scheduler {
	o.Parallel = max(o.Parallel, 1)
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	return &Scheduler{Options: o, replace: make(chan []Job), over: make(chan struct{})}
}

// Run runs jobs until ctx ends. Then it begins no more, gives those that run the grace period to finish, ends the contexts of those that have not,
// with the cause of ctx as theirs, and returns when all have returned: how many it had to end. It may be called once.
func (s *Scheduler) Run(ctx context.Context, jobs []Job) (abandoned int) {
	defer close(s.over)
	p := newPlan(s.Options)
	p.turned = &s.turned
	p.replace(jobs, wallClock())
	return p.run(ctx, s.replace)
}

// Replace gives a scheduler that runs another set of jobs. What runs goes on to its end. Jobs that are in both sets keep what they are waiting for, and
// their slots unless their schedule is another; new ones begin as they would at the start.
func (s *Scheduler) Replace(jobs []Job) {
	select {
	case s.replace <- jobs:
	case <-s.over:
	}
}

// Turned tells when the plan was last looked at; zero before Run. While Run goes on and ctx has not ended, that is never longer ago than a minute and what
// Observe took, by the monotonic clock, unless something is wrong.
func (s *Scheduler) Turned() time.Time {
	if at := s.turned.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Begins is when a job of its kind that is planned now begins.
func (j Job) Begins(now time.Time) time.Time {
	slot := j.Schedule.Next(now)
	if slot.IsZero() {
		return slot
	}
	return j.due(slot)
}

// wallClock is the time without the monotonic clock, which stands still while a machine sleeps.
func wallClock() time.Time { return time.Now().Round(0) }

// due is when the job of a slot begins: up to Jitter later, but never so late that the next slot is nearer. It is the same in every process, and
// jobs with the same schedule are spread evenly.
func (j Job) due(slot time.Time) time.Time {
	limit := j.Jitter
	if next := j.Schedule.Next(slot); !next.IsZero() {
		limit = min(limit, next.Sub(slot)/2)
	}
	sum := sha256.Sum256([]byte(j.Cluster + "\x00" + j.Name))
	share := float64(binary.BigEndian.Uint32(sum[:4])) / (1 << 32)
	return slot.Add(time.Duration(share * float64(limit)))
}

// fresh tells whether a success that began then is one for the newest slot. One from the future is a wrong clock's and says nothing.
func (j Job) fresh(success, now time.Time) bool {
	return !success.IsZero() && !success.After(now) && j.Schedule.Next(success).After(now)
}
