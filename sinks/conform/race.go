package conform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Races returns those of the checks in which several puts want the same key: what is worth running more than once.
func Races() []sinks.Check { return raceChecks() }

func raceChecks() []sinks.Check {
	return []sinks.Check{
		check("of eight racing puts one wins", raced(func(int64) int64 { return 1000 })),
		check("of eight racing puts in parts one wins", raced(func(part int64) int64 { return part + 1 })),
	}
}

// raced puts eight different contents under one key at once: exactly one put succeeds, all others find the key taken,
// and what is there afterwards is the winner's.
func raced(size func(part int64) int64) func(context.Context, trial) error {
	const racers = 8
	return func(ctx context.Context, t trial) error {
		key := t.prefix + "object"
		bodies, results := make([][]byte, racers), make([]error, racers)
		for i := range bodies {
			bodies[i] = content(uint64(100+i), size(t.part()))
		}
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				<-start
				results[i] = t.put(ctx, key, bodies[i])
			})
		}
		close(start)
		wg.Wait()
		winner := -1
		for i, err := range results {
			switch {
			case err == nil && winner >= 0:
				return fmt.Errorf("racers %d and %d were both told that they had won", winner, i)
			case err == nil:
				winner = i
			case !errors.Is(err, fs.ErrExist):
				return fmt.Errorf("racer %d: %w", i, err)
			}
		}
		if winner < 0 {
			return errors.New("all racers were told that the object existed already")
		}
		return t.holds(ctx, key, bodies[winner])
	}
}
