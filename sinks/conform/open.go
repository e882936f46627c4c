package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

func openChecks() []sinks.Check {
	return []sinks.Check{
		check("opening in the middle", openOffsets),
		check("opening at the end gives nothing", openEnd),
		check("opening past the end is refused", openOutside),
		check("opening what is not there", func(ctx context.Context, t trial) error {
			return errors.Join(t.absent(ctx, t.prefix+"missing"), t.absent(ctx, t.prefix+"missing/below"))
		}),
		check("opening with an ended context", openCancelled),
		check("reading ends with the context", readCancelled),
		check("closing before the end", closeEarly),
		check("several readers at once", readTogether),
	}
}

func openOffsets(ctx context.Context, t trial) error {
	key, body := t.prefix+"object", content(10, t.part()+100)
	if err := t.put(ctx, key, body); err != nil {
		return err
	}
	size := int64(len(body))
	for _, off := range []int64{0, 1, size / 2, t.part() - 1, t.part(), size - 1} {
		got, err := t.read(ctx, key, off, size-off)
		if err != nil {
			return fmt.Errorf("reading from byte %d: %w", off, err)
		}
		if at := firstDifference(got, body[off:]); at >= 0 {
			return fmt.Errorf("reading from byte %d of %d gives %d bytes, wrong from byte %d on", off, size, len(got), off+int64(at))
		}
	}
	return nil
}

func openEnd(ctx context.Context, t trial) error {
	for i, size := range []int64{0, 10} {
		key := fmt.Sprintf("%s%d", t.prefix, i)
		if err := t.put(ctx, key, content(11, size)); err != nil {
			return err
		}
		got, err := t.read(ctx, key, size, 0)
		if err != nil {
			return fmt.Errorf("reading %d bytes from byte %d: %w", size, size, err)
		}
		if len(got) > 0 {
			return fmt.Errorf("reading %d bytes from byte %d gives %d bytes", size, size, len(got))
		}
	}
	return nil
}

func openOutside(ctx context.Context, t trial) error {
	for i, size := range []int64{0, 10} {
		key := fmt.Sprintf("%s%d", t.prefix, i)
		if err := t.put(ctx, key, content(12, size)); err != nil {
			return err
		}
		for _, off := range []int64{-1, size + 1, size + 1000} {
			_, err := t.read(ctx, key, off, 0)
			if err := wants(fs.ErrInvalid, err, fmt.Sprintf("opening %d bytes at byte %d", size, off)); err != nil {
				return err
			}
		}
	}
	return nil
}

func openCancelled(ctx context.Context, t trial) error {
	key := t.prefix + "object"
	if err := t.put(ctx, key, content(13, 10)); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	_, err := t.read(ctx, key, 0, 10)
	return wants(context.Canceled, err, "opening with a cancelled context")
}

func readCancelled(ctx context.Context, t trial) error {
	key, body := t.prefix+"object", content(14, 2*t.part())
	if err := t.put(ctx, key, body); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := t.Open(ctx, key, 0)
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		return errors.Join(err, r.Close())
	}
	cancel()
	began := time.Now()
	n, err := io.Copy(io.Discard, r)
	err = errors.Join(wants(context.Canceled, err, fmt.Sprintf("reading %d bytes on with a cancelled context", n)), r.Close())
	if took := time.Since(began); took > 20*time.Second {
		err = errors.Join(err, fmt.Errorf("a cancelled reader returns only after %v", took))
	}
	return err
}

func closeEarly(ctx context.Context, t trial) error {
	key, body := t.prefix+"object", content(15, 2*t.part())
	if err := t.put(ctx, key, body); err != nil {
		return err
	}
	for range 3 {
		r, err := t.Open(ctx, key, 0)
		if err != nil {
			return err
		}
		_, err = io.ReadFull(r, make([]byte, 100))
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return t.holds(ctx, key, body)
}

func readTogether(ctx context.Context, t trial) error {
	key, body := t.prefix+"object", content(16, t.part()+1)
	if err := t.put(ctx, key, body); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	for i := range 4 {
		off := int64(i) * 10
		g.Go(func() error {
			got, err := t.read(gctx, key, off, int64(len(body)))
			if err == nil && !bytes.Equal(got, body[off:]) {
				err = fmt.Errorf("a reader from byte %d got wrong bytes beside others", off)
			}
			return err
		})
	}
	return g.Wait()
}
