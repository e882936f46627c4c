package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifeboat-dr/lifeboat/scheduler"
)

const (
	clusters = 100
	parallel = 6
)

// TestAYearOfAHundredClusters lives through a year with changes of the clock, restarts, outages, jobs that take hours and jobs that fail. Every slot is
// served once, or made up for once as soon as nothing was in its way; what fails for a while is tried again when it should be, and only that; never do two jobs of a cluster run at once, nor more than the bound.
func TestAYearOfAHundredClusters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		began := time.Now()
		ends := began.AddDate(1, 0, 0)
		for time.Now().Before(ends) {
			w.live(time.Duration(1+w.random.IntN(30*24*60)) * time.Minute)
			w.beDown(time.Duration(w.random.ExpFloat64() * float64(3*time.Hour)))
		}
		w.live(48 * time.Hour) // to make up for what was missed
		w.judge(began, ends)
	})
}

// world is the service with the clusters it works for, and what outlives it: what is in the buckets.
type world struct {
	t      *testing.T
	jobs   []scheduler.Job
	specs  map[string]string // by name of the job
	random *rand.Rand

	mu        sync.Mutex
	successes map[string]time.Time
	runs      map[string][]time.Time // beginnings of those that succeeded
	busy      map[string][]span      // by cluster
	full      []span                 // when the bound was reached
	patient   []span                 // when it was reached for all that is not urgent
	others    int                    // of those that run
	down      []span
	now       map[string]bool      // clusters for which a job runs
	ill       map[string]time.Time // until when every job of a cluster fails
	attempts  map[string][]attempt // by job
	fresh     int
	abandoned int
	again     int // tries after the first
}

type span struct{ from, to time.Time }

// attempt is a run, and how it ended.
type attempt struct {
	span
	err error
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, random: rand.New(rand.NewPCG(2026, 5)), specs: map[string]string{}, successes: map[string]time.Time{},
		runs: map[string][]time.Time{}, busy: map[string][]span{}, now: map[string]bool{}, ill: map[string]time.Time{},
		attempts: map[string][]attempt{},
	}
	for i := range clusters {
		cluster, zone := fmt.Sprintf("c%02d", i), zones()[i%len(zones())]
		backup := fmt.Sprintf("%d */6 * * *", i%60)
		if i%4 == i/4%4 { // of each zone the same share
			backup = fmt.Sprintf("%d * * * *", i%60)
		}
		w.add(cluster, "backup", zone, backup, time.Duration(i%3)*20*time.Minute)
		w.add(cluster, "verify", zone, fmt.Sprintf("%d 2 * * *", i%60), 0)
		w.add(cluster, "rehearse", zone, fmt.Sprintf("%d %d * * *", i%60, i%4), time.Hour)
		w.add(cluster, "prune", zone, "30 1 * * *", 10*time.Minute)
	}
	return w
}

func (w *world) add(cluster, name, zone, spec string, jitter time.Duration) {
	id := cluster + "/" + name
	w.specs[id] = spec
	j := scheduler.Job{
		Cluster: cluster, Name: name, Schedule: schedule(w.t, spec, zone), Jitter: jitter, Urgent: name == "backup", Again: passing,
		Run: func(ctx context.Context) error { return w.work(ctx, cluster, id, name == "backup") },
	}
	if name != "prune" {
		j.Last = func(context.Context) (time.Time, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.successes[id], true
		}
	}
	w.jobs = append(w.jobs, j)
}

// work takes some seconds, and now and then hours.
func (w *world) work(ctx context.Context, cluster, id string, urgent bool) error {
	w.mu.Lock()
	began := time.Now()
	if w.now[cluster] {
		w.t.Errorf("%s: two at a time at %s", cluster, began)
	}
	w.now[cluster] = true
	if len(w.now) > parallel {
		w.t.Errorf("%d jobs at a time at %s", len(w.now), began)
	}
	if len(w.now) == parallel {
		w.full = append(w.full, span{from: began})
	}
	if !urgent {
		if w.others++; w.others == parallel-1 {
			w.patient = append(w.patient, span{from: began})
		}
		if w.others > parallel-1 {
			w.t.Errorf("no place is kept for backups at %s", began)
		}
	}
	takes := time.Duration(1+w.random.IntN(20)) * time.Second
	if w.random.IntN(1000) == 0 {
		takes = time.Duration(w.random.Int64N(int64(9 * time.Hour)))
	}
	err := w.luck(cluster, began)
	w.mu.Unlock()

	select {
	case <-time.After(takes):
	case <-ctx.Done():
		err = context.Cause(ctx)
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.now) == parallel {
		w.full[len(w.full)-1].to = time.Now()
	}
	if !urgent {
		if w.others == parallel-1 {
			w.patient[len(w.patient)-1].to = time.Now()
		}
		w.others--
	}
	delete(w.now, cluster)
	w.busy[cluster] = append(w.busy[cluster], span{began, time.Now()})
	w.attempts[id] = append(w.attempts[id], attempt{span{began, time.Now()}, err})
	if err == nil {
		w.successes[id] = began
		w.runs[id] = append(w.runs[id], began)
	}
	return err
}

var errLasting = errors.New("no key opens it")

// luck is how a run will end: now and then a cluster cannot be reached for a while, and now and then something is wrong that only a person mends.
func (w *world) luck(cluster string, now time.Time) error {
	switch {
	case now.Before(w.ill[cluster]):
		return errPassing
	case w.random.IntN(400) == 0:
		w.ill[cluster] = now.Add(time.Duration(w.random.ExpFloat64() * float64(20*time.Minute)))
		return errPassing
	case w.random.IntN(2000) == 0:
		return errLasting
	}
	return nil
}

// live runs the service for so long, and then ends it with a grace period that is too short for slow jobs.
func (w *world) live(long time.Duration) {
	ctx, stop := context.WithTimeout(w.t.Context(), long)
	defer stop()
	s := scheduler.New(scheduler.Options{Parallel: parallel, Grace: 30 * time.Second, Observe: func(e scheduler.Event) {
		if e.Fresh {
			w.fresh++
		}
	}})
	w.abandoned += s.Run(ctx, w.jobs)
	w.down = append(w.down, span{time.Now().Add(-30 * time.Second), time.Now()}) // the grace period at most: nothing is begun in it
}

func (w *world) beDown(long time.Duration) {
	began := time.Now()
	time.Sleep(long)
	w.down = append(w.down, span{began, time.Now()})
}

// judge holds what ran against the clocks on the walls.
func (w *world) judge(began, ends time.Time) {
	walls := map[string]wall{}
	for _, zone := range zones() {
		walls[zone] = watchWall(w.t, zone, began, ends.AddDate(0, 2, 0)) // the last life goes on beyond the year
	}
	served, late, obstacles := 0, 0, map[string][]span{}
	for cluster, busy := range w.busy {
		obstacles[cluster] = merged(slices.Concat(busy, w.down, w.full))
		obstacles[cluster+"/patient"] = merged(slices.Concat(busy, w.down, w.full, w.patient))
	}
	for _, j := range w.jobs {
		id, in := j.Cluster+"/"+j.Name, j.Cluster
		if !j.Urgent {
			in += "/patient"
		}
		slots, runs := walls[j.Schedule.Zone()].slots(w.specs[id]), w.runs[id]
		inTheWay := merged(slices.Concat(obstacles[in], w.pauses(id, slots, j.Jitter)))
		w.judgeTries(j, slots)
		for i := 1; i < len(runs); i++ {
			if !slices.ContainsFunc(slotsAfter(slots, runs[i-1]), func(s time.Time) bool { return !s.After(runs[i]) }) && runs[i].Before(ends) {
				w.t.Errorf("%s ran at %s, and again at %s without a slot between", id, runs[i-1], runs[i])
			}
		}
		for _, slot := range slots {
			if !slot.Before(ends) {
				break
			}
			at, _ := slices.BinarySearchFunc(runs, slot, time.Time.Compare)
			if at == len(runs) {
				w.t.Errorf("%s: nothing ran for the slot at %s", id, slot)
				continue
			}
			served++
			if runs[at].After(slot.Add(j.Jitter)) {
				late++
			}
			if idle := uncovered(slot.Add(j.Jitter), runs[at], inTheWay); idle > time.Second && j.Last != nil {
				w.t.Errorf("%s: the slot at %s was served at %s although nothing was in its way for %s", id, slot, runs[at], idle)
			}
		}
	}
	w.t.Logf("%d slots were served, %d of them late; %d runs were abandoned, %d were spared, %d were tries after a failure", served, late, w.abandoned, w.fresh, w.again)
	if served < 300_000 || late == 0 || w.abandoned == 0 || w.fresh == 0 || w.again < 500 {
		w.t.Error("the year was too quiet to say anything")
	}
}

func slotsAfter(slots []time.Time, t time.Time) []time.Time {
	at, found := slices.BinarySearchFunc(slots, t, time.Time.Compare)
	if found {
		at++
	}
	return slots[at:min(at+1, len(slots))]
}

// merged sorts spans and joins those that touch.
func merged(all []span) (out []span) {
	slices.SortFunc(all, func(a, b span) int { return a.from.Compare(b.from) })
	for _, s := range all {
		if last := len(out) - 1; last >= 0 && !s.from.After(out[last].to) {
			if s.to.After(out[last].to) {
				out[last].to = s.to
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// uncovered is how much of the time from one moment to another lies in none of the spans.
func uncovered(from, to time.Time, spans []span) time.Duration {
	at, _ := slices.BinarySearchFunc(spans, from, func(s span, t time.Time) int { return s.to.Compare(t) })
	free := max(to.Sub(from), 0)
	for _, s := range spans[at:] {
		if !s.from.Before(to) {
			break
		}
		free -= max(earlier(s.to, to).Sub(later(s.from, from)), 0)
	}
	return free
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
