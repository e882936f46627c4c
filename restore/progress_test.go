package restore

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
)

// TestCopiesReportWhileOneStepFollowsAnother: the copies for the other members go on from one step into the next, and what they report
// belongs to one of the two.
func TestCopiesReportWhileOneStepFollowsAnother(t *testing.T) {
	t.Parallel()
	var none, over atomic.Int64
	r := &runner{result: &Result{}, Deps: Deps{Log: slog.New(slog.DiscardHandler), Progress: func(s Step, _, _ int64) {
		if s == "" {
			none.Add(1)
		}
	}}}
	r.enter(StepInspect, 0)
	var copies sync.WaitGroup
	for range 2 {
		copies.Go(func() {
			for over.Load() == 0 {
				r.advance(1)
			}
		})
	}
	const steps = 100_000
	for range steps / 2 {
		r.enter(StepEdit, 0)
		r.enter(StepInspect, 0)
	}
	over.Store(1)
	copies.Wait()
	if n := none.Load(); n > 0 {
		t.Errorf("%d reports of no step", n)
	}
	if n := len(r.result.Timings); n != steps {
		t.Errorf("%d timings of %d steps", n, steps)
	}
}
