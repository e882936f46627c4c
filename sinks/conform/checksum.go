package conform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// checksumChecks hold for sinks that tell checksums. Of one that tells none there is nothing to check.
func checksumChecks() []sinks.Check {
	return []sinks.Check{
		check("a checksum is that of what was put", checksumOfPut),
		check("a checksum follows what is there", checksumFollows),
	}
}

// sums says in what a store's word for an object differs from what it is. A store that has none to tell is errors.ErrUnsupported.
func (t trial) sums(ctx context.Context, key string, want []byte) error {
	told, err := sinks.ChecksumOf(ctx, t.Sink, key)
	if err != nil {
		return err
	}
	sum := told.New()
	if sum == nil {
		return fmt.Errorf("%s: its checksum is a %q, which nobody can compute", key, told.Algorithm)
	}
	_, _ = sum.Write(want) // a hash never fails
	if got := sum.Sum(nil); !told.Matches(int64(len(want)), got) {
		return fmt.Errorf("%s: the store tells of %d bytes with the %s %x; put were %d with %x", key, told.Size, told, told.Sum, len(want), got)
	}
	return nil
}

func checksumOfPut(ctx context.Context, t trial) error {
	for i, size := range []int64{10, 0, t.part(), 2*t.part() + 1} {
		key, body := fmt.Sprintf("%s%d", t.prefix, i), content(40+uint64(i), size)
		if err := t.put(ctx, key, body); err != nil {
			return err
		}
		switch err := t.sums(ctx, key, body); {
		case errors.Is(err, errors.ErrUnsupported) && i == 0:
			return nil // it keeps none
		case err != nil && !errors.Is(err, errors.ErrUnsupported): // of some it may keep none
			return err
		}
	}
	return nil
}

func checksumFollows(ctx context.Context, t trial) error {
	key := t.prefix + "object"
	for i := range uint64(2) {
		_, err := sinks.ChecksumOf(ctx, t.Sink, key)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil
		}
		if err := wants(fs.ErrNotExist, err, "asking for the checksum of what is not there"); err != nil {
			return err
		}
		body := content(44+i, 100)
		if err := t.put(ctx, key, body); err != nil {
			return err
		}
		if err := t.sums(ctx, key, body); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		if err := t.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
