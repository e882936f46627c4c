package scheduler

import (
	"container/heap"
	"slices"
	"time"
)

const (
	// firstPause is how long after its end a job that failed is tried again; each pause after it is twice as long, up to longestPause.
	firstPause   = time.Minute
	longestPause = time.Hour
)

// next is when the job begins the next time: at its slot to come, or before that once more for the last one.
func (e *entry) next() time.Time {
	if e.again.IsZero() {
		return e.begins
	}
	return e.again
}

// tries counts a run that begins.
func (e *entry) tries(now time.Time) (n int) {
	if e.tried == 0 {
		e.first = now
	}
	e.tried++
	e.again = time.Time{}
	return e.tried
}

// tryAgain plans another try for the slot of a job that has failed, if the job wants one. There is none beyond half of the way to the next slot, by which
// it will be tried anyhow, nor for one that waits already.
func (p *plan) tryAgain(e *entry, err error, now time.Time) {
	if err == nil || e.Again == nil || !e.Again(err) || e.tried == 0 || slices.Contains(p.waiting, e) {
		return
	}
	pause := longestPause
	if doublings := e.tried - 1; doublings < 6 {
		pause = min(pause, firstPause<<doublings)
	}
	if at := now.Add(pause); !at.After(e.first.Add(e.begins.Sub(e.first) / 2)) {
		e.again = at
		heap.Init(&p.upcoming)
	}
}
