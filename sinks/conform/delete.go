package conform

import (
	"context"
	"errors"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

func deleteChecks() []sinks.Check {
	return []sinks.Check{
		check("deleting", deleteOne),
		check("deleting what is not there", func(ctx context.Context, t trial) error {
			if err := t.puts(ctx, "a/b", "c"); err != nil {
				return err
			}
			return errors.Join(t.Delete(ctx, t.prefix+"missing"), t.Delete(ctx, t.prefix+"missing/below"),
				t.Delete(ctx, t.prefix+"a"), t.Delete(ctx, t.prefix+"c/below"), t.lists(ctx, "", "a/b", "c"))
		}),
		check("a deleted key can be put again", func(ctx context.Context, t trial) error {
			key := t.prefix + "object"
			for i := range uint64(3) {
				body := content(20+i, 100)
				if err := t.put(ctx, key, body); err != nil {
					return err
				}
				if err := errors.Join(t.holds(ctx, key, body), t.Delete(ctx, key), t.absent(ctx, key)); err != nil {
					return err
				}
			}
			return nil
		}),
		check("deleting with an ended context", func(ctx context.Context, t trial) error {
			if err := t.puts(ctx, "a"); err != nil {
				return err
			}
			cancelled, cancel := context.WithCancel(ctx)
			cancel()
			err := wants(context.Canceled, t.Delete(cancelled, t.prefix+"a"), "deleting with a cancelled context")
			return errors.Join(err, t.lists(ctx, "", "a"))
		}),
	}
}

// deleteOne deletes one object among neighbours whose names begin like its own.
func deleteOne(ctx context.Context, t trial) error {
	if err := t.puts(ctx, "a", "a.b", "ab/c", "ab/cd"); err != nil {
		return err
	}
	if err := t.Delete(ctx, t.prefix+"a"); err != nil {
		return err
	}
	if err := t.lists(ctx, "", "a.b", "ab/c", "ab/cd"); err != nil {
		return err
	}
	if err := t.Delete(ctx, t.prefix+"ab/c"); err != nil {
		return err
	}
	return errors.Join(t.absent(ctx, t.prefix+"a/"+"x"), t.lists(ctx, "", "a.b", "ab/cd"))
}
