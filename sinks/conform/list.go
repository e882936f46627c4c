package conform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

func listChecks() []sinks.Check {
	return []sinks.Check{
		check("an empty listing", func(ctx context.Context, t trial) error {
			return errors.Join(t.lists(ctx, ""), t.lists(ctx, "not/there/"))
		}),
		check("listing in key order with a dot before a slash", listOrder),
		check("a prefix is no directory", listPrefix),
		check("listing 1005 objects", listPages),
		check("listing ends when the caller has enough", listBreak),
		check("listing tells sizes and times", listFacts),
		check("listing with an ended context", listCancelled),
	}
}

// lists compares a listing with what it should be; names are relative to the trial's prefix.
func (t trial) lists(ctx context.Context, prefix string, want ...string) error {
	found, err := t.list(ctx, t.prefix+prefix)
	if err != nil {
		return err
	}
	got := make([]string, len(found))
	for i, o := range found {
		got[i] = strings.TrimPrefix(o.Key, t.prefix)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("listing %q gives %q, not %q", prefix, got, want)
	}
	return nil
}

// puts puts small objects at once, in no particular order.
func (t trial) puts(ctx context.Context, names ...string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := range names {
		name := names[len(names)-1-i]
		g.Go(func() error { return t.put(ctx, t.prefix+name, []byte(name)) })
	}
	return g.Wait()
}

// listOrder uses names that a walk over directories, a comparison without case, and one by characters instead of
// bytes each put in another order.
func listOrder(ctx context.Context, t trial) error {
	names := []string{"B", "a", "b!c", "b-c", "b.c", "b/c-d", "b/c.d/e", "b/c/d", "b0", "ba", "\uff5e", "\U0001f6df"}
	if err := t.puts(ctx, names...); err != nil {
		return err
	}
	return t.lists(ctx, "", names...)
}

func listPrefix(ctx context.Context, t trial) error {
	if err := t.puts(ctx, "a/x", "ab", "ab.c", "ab2/x", "ab2/y/z", "b/ab"); err != nil {
		return err
	}
	return errors.Join(
		t.lists(ctx, "ab", "ab", "ab.c", "ab2/x", "ab2/y/z"),
		t.lists(ctx, "ab2", "ab2/x", "ab2/y/z"),
		t.lists(ctx, "ab2/", "ab2/x", "ab2/y/z"),
		t.lists(ctx, "ab2/y/z", "ab2/y/z"),
		t.lists(ctx, "a", "a/x", "ab", "ab.c", "ab2/x", "ab2/y/z"),
		t.lists(ctx, "ab/"),
		t.lists(ctx, "ab3"),
	)
}

func listPages(ctx context.Context, t trial) error {
	names := make([]string, 1005)
	for i := range names {
		names[i] = fmt.Sprintf("page/%04d", i)
	}
	if err := t.puts(ctx, names...); err != nil {
		return err
	}
	found, err := t.list(ctx, t.prefix)
	if err != nil {
		return err
	}
	if len(found) != len(names) {
		return fmt.Errorf("of %d objects %d are listed", len(names), len(found))
	}
	for i, o := range found {
		if o.Key != t.prefix+names[i] {
			return fmt.Errorf("entry %d is %s, not %s", i, o.Key, names[i])
		}
	}
	return nil
}

func listBreak(ctx context.Context, t trial) error {
	if err := t.puts(ctx, "a", "b/c", "b/d", "e"); err != nil {
		return err
	}
	seen := 0
	for _, err := range t.List(ctx, t.prefix) {
		if err != nil {
			return err
		}
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		return fmt.Errorf("of 4 objects %d were listed before the second", seen)
	}
	return nil
}

func listFacts(ctx context.Context, t trial) error {
	for i, size := range []int64{0, 1, t.part() + 1} {
		if err := t.put(ctx, fmt.Sprintf("%s%d", t.prefix, i), content(17, size)); err != nil {
			return err
		}
	}
	found, err := t.list(ctx, t.prefix)
	if err != nil {
		return err
	}
	for i, size := range []int64{0, 1, t.part() + 1} {
		if i >= len(found) || found[i].Size != size || found[i].ModTime.IsZero() {
			return fmt.Errorf("objects of 0, 1 and %d bytes are listed as %v", t.part()+1, found)
		}
	}
	return nil
}

func listCancelled(ctx context.Context, t trial) error {
	if err := t.puts(ctx, "a", "b"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, err := range t.List(ctx, t.prefix) {
		if err != nil {
			return err
		}
		break
	}
	cancel()
	found, err := t.list(ctx, t.prefix)
	return wants(context.Canceled, err, fmt.Sprintf("listing %d objects with a cancelled context", len(found)))
}
