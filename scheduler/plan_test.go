package scheduler

import (
	"context"
	"testing"
	"time"
)

// What follows cannot be lived through with testing/synctest, whose clocks never differ: a machine that sleeps, and a clock that is set.

func planOf(t *testing.T, spec string, now time.Time) (*plan, *entry) {
	t.Helper()
	s, err := ParseSchedule(spec, "")
	if err != nil {
		t.Fatal(err)
	}
	p := newPlan(Options{Parallel: 1})
	p.replace([]Job{{Cluster: "c", Name: "backup", Schedule: s, Run: func(context.Context) error { return nil }}}, now)
	p.look(now)
	return p, p.entries[jobID{"c", "backup"}]
}

func TestAMachineThatSleptThroughSlotsRunsOnceForAll(t *testing.T) {
	began := time.Date(2026, 11, 26, 22, 3, 0, 0, time.UTC)
	p, e := planOf(t, "*/15 * * * *", began)
	if rest := p.rest(began); rest != lookEvery {
		t.Errorf("it would sleep for %s with a clock that may stand still", rest)
	}
	morning := began.Add(8*time.Hour + time.Minute)
	p.look(morning)
	if len(p.waiting) != 1 || !e.missed.Equal(began.Add(12*time.Minute)) || !e.slot.Equal(morning.Add(11*time.Minute)) {
		t.Errorf("%d wait, for %s; the next slot is %s", len(p.waiting), e.missed, e.slot)
	}
}

func TestAClockThatIsSetBackPlansAnew(t *testing.T) {
	wrong := time.Date(2038, 1, 19, 3, 14, 0, 0, time.UTC)
	p, e := planOf(t, "*/15 * * * *", wrong)
	right := time.Date(2026, 11, 26, 22, 3, 0, 0, time.UTC)
	p.look(right)
	if !e.slot.Equal(right.Add(12 * time.Minute)) {
		t.Errorf("the next slot is %s", e.slot)
	}
	p.look(right.Add(12*time.Minute + 5*time.Second))
	p.look(right.Add(12*time.Minute - 5*time.Second)) // a correction of seconds
	if len(p.waiting) != 1 || !e.slot.Equal(right.Add(27*time.Minute)) {
		t.Errorf("%d wait; the next slot is %s", len(p.waiting), e.slot)
	}
}
