package scheduler_test

import (
	"errors"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/scheduler"
)

// series are the attempts of a job for one slot, or for one beginning of the service: what came after a slot, a success or a restart is another.
func (w *world) series(id string, slots []time.Time) (all [][]attempt) {
	for i, a := range w.attempts[id] {
		if i > 0 {
			before := w.attempts[id][i-1]
			slot := slotsAfter(slots, before.from)
			if before.err != nil && !(len(slot) > 0 && !slot[0].After(a.from)) && !w.wasDown(before.to, a.from) {
				all[len(all)-1] = append(all[len(all)-1], a)
				continue
			}
		}
		all = append(all, []attempt{a})
	}
	return all
}

func (w *world) wasDown(from, to time.Time) bool {
	return slices.ContainsFunc(w.down, func(d span) bool { return d.from.Before(to) && d.to.After(from) })
}

// pause is how long after its end the nth try of a series is made again.
func pause(n int) time.Duration { return min(time.Minute<<(n-1), time.Hour) }

// pauses is when a job that failed had nothing to do: until it is tried again, or until its next slot where that would be too late.
func (w *world) pauses(id string, slots []time.Time, jitter time.Duration) (all []span) {
	for _, tries := range w.series(id, slots) {
		for n, a := range tries {
			next := slotsAfter(slots, a.from)
			if a.err == nil {
				continue
			}
			again, begins := a.to.Add(pause(n+1)), next[0].Add(jitter)
			if errors.Is(a.err, errPassing) && !again.After(tries[0].from.Add(next[0].Sub(tries[0].from)/2)) {
				begins = again
			}
			all = append(all, span{a.to, begins})
		}
	}
	return all
}

// judgeTries looks whether only what may succeed was tried again, never too soon and never near the next slot.
func (w *world) judgeTries(j scheduler.Job, slots []time.Time) {
	id := j.Cluster + "/" + j.Name
	for _, tries := range w.series(id, slots) {
		next := slotsAfter(slots, tries[0].from)[0].Add(j.Jitter)
		for n, a := range tries[1:] {
			w.again++
			before := tries[n]
			half := tries[0].from.Add(next.Sub(tries[0].from) / 2)
			switch {
			case !errors.Is(before.err, errPassing):
				w.t.Errorf("%s was tried again at %s although it had failed for good: %v", id, a.from, before.err)
			case a.from.Sub(before.to) < pause(n+1):
				w.t.Errorf("%s was tried for the %d. time only %s after the last one had failed", id, n+2, a.from.Sub(before.to))
			case before.to.Add(pause(n + 1)).After(half):
				w.t.Errorf("%s was tried again at %s, which is nearer to the next slot at %s than to %s", id, a.from, next, tries[0].from)
			}
		}
	}
}
