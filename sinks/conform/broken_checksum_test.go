package conform_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// tells makes a sink that tells something else than its store has.
func tells(change func(c *sinks.Checksum)) func(*broken) {
	return func(b *broken) {
		b.sum = func(ctx context.Context, key string) (sinks.Checksum, error) {
			c, err := b.good.Checksum(ctx, key)
			change(&c)
			return c, err
		}
	}
}

func checksumBreakages() []breakage {
	const of, follows = "a checksum is that of what was put", "a checksum follows what is there"
	return []breakage{
		{"checksums have another size", tells(func(c *sinks.Checksum) { c.Size++ }), []string{of, follows}},
		{"checksums are of parts that were never made", tells(func(c *sinks.Checksum) { c.PartSize = 5 }), []string{of, follows}},
		{"checksums are called what they are not", tells(func(c *sinks.Checksum) { c.Algorithm = sinks.CRC32 }), []string{of, follows}},
		{"checksums are of a kind that nobody knows", tells(func(c *sinks.Checksum) { c.Algorithm = "moon" }), []string{of, follows}},
		{"checksums are remembered for ever", func(b *broken) {
			known := map[string]sinks.Checksum{}
			b.sum = func(ctx context.Context, key string) (sinks.Checksum, error) {
				c, err := b.good.Checksum(ctx, key)
				if was, ok := known[key]; ok {
					return was, nil
				}
				if err == nil {
					known[key] = c
				}
				return c, err
			}
		}, []string{follows}},
		{"what is not there is an error of any kind", func(b *broken) {
			b.sum = func(ctx context.Context, key string) (sinks.Checksum, error) {
				c, err := b.good.Checksum(ctx, key)
				if errors.Is(err, fs.ErrNotExist) {
					err = errors.New("no")
				}
				return c, err
			}
		}, []string{follows}},
	}
}

// TestASinkWithoutChecksumsBreaksNoPromise: it is read back in full, always.
func TestASinkWithoutChecksumsBreaksNoPromise(t *testing.T) {
	t.Parallel()
	for _, c := range conform.Checks() {
		if c.Name == "a checksum is that of what was put" || c.Name == "a checksum follows what is there" {
			if err := c.Run(t.Context(), struct{ sinks.Sink }{mem.New()}, "p/"); err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
	}
}
