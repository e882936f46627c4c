package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

func putChecks() []sinks.Check {
	return []sinks.Check{
		check("a small object", sized(func(int64) int64 { return 10 })),
		check("an object of 0 bytes", sized(func(int64) int64 { return 0 })),
		check("an object of a part less a byte", sized(func(part int64) int64 { return part - 1 })),
		check("an object of exactly one part", sized(func(part int64) int64 { return part })),
		check("an object of a part and a byte", sized(func(part int64) int64 { return part + 1 })),
		check("an object of several parts", sized(func(part int64) int64 { return 2*part + part/2 + 1 })),
		check("a put does not replace", func(ctx context.Context, t trial) error {
			return t.keeps(ctx, content(1, 100), content(2, 100))
		}),
		check("a put does not replace by the same", func(ctx context.Context, t trial) error {
			body := content(1, t.part())
			return t.keeps(ctx, body, body)
		}),
		check("a put in parts does not replace", func(ctx context.Context, t trial) error {
			return t.keeps(ctx, content(1, 100), content(2, t.part()+1))
		}),
		check("one body under two keys at once", putTwice),
		check("bytes after the size are left out", putLongBody),
		check("a negative size is refused", putNegative),
	}
}

func sized(size func(part int64) int64) func(context.Context, trial) error {
	return func(ctx context.Context, t trial) error {
		key, body := t.prefix+"object", content(3, size(t.part()))
		if err := t.put(ctx, key, body); err != nil {
			return err
		}
		return t.holds(ctx, key, body)
	}
}

// keeps puts an object twice; the second time must fail and change nothing.
func (t trial) keeps(ctx context.Context, first, second []byte) error {
	key := t.prefix + "object"
	if err := t.put(ctx, key, first); err != nil {
		return err
	}
	if err := wants(fs.ErrExist, t.put(ctx, key, second), "putting to a key that exists"); err != nil {
		return err
	}
	return t.holds(ctx, key, first)
}

func putTwice(ctx context.Context, t trial) error {
	content := content(4, t.part()+1)
	body := bytes.NewReader(content)
	keys := []string{t.prefix + "one", t.prefix + "two"}
	g, gctx := errgroup.WithContext(ctx)
	for _, key := range keys {
		g.Go(func() error { return t.Put(gctx, key, body, body.Size()) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return errors.Join(t.holds(ctx, keys[0], content), t.holds(ctx, keys[1], content))
}

func putLongBody(ctx context.Context, t trial) error {
	body := content(5, t.part()+100)
	for i, size := range []int64{0, 50, t.part() + 50} {
		key := fmt.Sprintf("%s%d", t.prefix, i)
		if err := t.Put(ctx, key, bytes.NewReader(body), size); err != nil {
			return err
		}
		if err := t.holds(ctx, key, body[:size]); err != nil {
			return err
		}
	}
	return nil
}

func putNegative(ctx context.Context, t trial) error {
	err := t.Put(ctx, t.prefix+"object", bytes.NewReader([]byte("some")), -1)
	if err := wants(fs.ErrInvalid, err, "putting -1 bytes"); err != nil {
		return err
	}
	return t.absent(ctx, t.prefix+"object")
}
