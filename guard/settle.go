package guard

import (
	"context"
	"errors"
	"time"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Waiting says how the state after a command is waited for.
type Waiting struct {
	Limit   time.Duration // to be as well as before
	Every   time.Duration // between two looks; 0 is 2 s
	Reached int64         // a revision that the cluster is known to have had
	// Look is asked again and again. An error of wrong settings is a state of the cluster here, because the settings were right before.
	Look func(ctx context.Context) (State, error)
	// Told is called before waiting on, when what is wrong has changed, "" when nothing is any more; it may be nil.
	Told func(wrong string)
}

const lookEvery = 2 * time.Second

// Settle waits until the cluster is as well as before, twice in a row, because a command may return before what it asked for begins. It
// gives up after the limit, and where waiting mends nothing: something is lost, and nothing is just not there yet. It fails only when ctx ends; then it returns what was seen last.
func (w Waiting) Settle(ctx context.Context, before State) (State, Comparison, error) {
	if w.Every == 0 {
		w.Every = lookEvery
	}
	deadline := time.Now().Add(w.Limit)
	said, well := "", 0
	var after State
	var c Comparison
	for {
		now, err := w.Look(ctx)
		switch {
		case ctx.Err() != nil:
			return after, c, context.Cause(ctx)
		case errors.Is(err, snapshot.ErrConfig):
			now = State{Time: time.Now().UTC(), Problems: []Problem{{Mixed, "", err.Error()}}}
		case err != nil:
			return after, c, err
		}
		after, c = now, Compare(before, now, w.Reached)
		if well++; !c.OK() {
			well = 0
		}
		if well == 2 || len(c.Lost) > 0 && after.Quorum && len(c.Problems) == 0 || time.Now().After(deadline) {
			return after, c, nil
		}
		if text := c.Text(); text != said && w.Told != nil {
			w.Told(text)
			said = text
		}
		select {
		case <-time.After(w.Every):
		case <-ctx.Done():
			return after, c, context.Cause(ctx)
		}
	}
}
