package conform_test

import (
	"context"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// part is what conform takes for the part size of a sink that does not tell one.
const part = 1 << 20

// A broken sink works except for what is overridden. key, where set, bends the keys of all calls.
type broken struct {
	good   *mem.Sink
	put    func(ctx context.Context, key string, body io.ReaderAt, size int64) error
	open   func(ctx context.Context, key string, off int64) (io.ReadCloser, error)
	list   func(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error]
	remove func(ctx context.Context, key string) error
	sum    func(ctx context.Context, key string) (sinks.Checksum, error)
}

func (b *broken) Checksum(ctx context.Context, key string) (sinks.Checksum, error) {
	if b.sum != nil {
		return b.sum(ctx, key)
	}
	return b.good.Checksum(ctx, key)
}

func (b *broken) Put(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	if b.put != nil {
		return b.put(ctx, key, body, size)
	}
	return b.good.Put(ctx, key, body, size)
}

func (b *broken) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	if b.open != nil {
		return b.open(ctx, key, off)
	}
	return b.good.Open(ctx, key, off)
}

func (b *broken) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	if b.list != nil {
		return b.list(ctx, prefix)
	}
	return b.good.List(ctx, prefix)
}

func (b *broken) Delete(ctx context.Context, key string) error {
	if b.remove != nil {
		return b.remove(ctx, key)
	}
	return b.good.Delete(ctx, key)
}

// A breakage is one way to break the contract, and the checks that must notice it.
type breakage struct {
	name     string
	make     func(b *broken)
	caughtBy []string
}

func TestEveryCheckCatchesItsKindOfBreakage(t *testing.T) {
	t.Parallel()
	checks := map[string]sinks.Check{}
	for _, c := range conform.Checks() {
		checks[c.Name] = c
	}
	caught := map[string]int{}
	for _, breakage := range slices.Concat(putBreakages(), failureBreakages(), openBreakages(), listBreakages(), deleteBreakages(), keyBreakages(), checksumBreakages()) {
		for _, name := range breakage.caughtBy {
			check, ok := checks[name]
			if !ok {
				t.Errorf("%s: there is no check %q", breakage.name, name)
				continue
			}
			caught[name]++
			t.Run(breakage.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				b := &broken{good: mem.New()}
				breakage.make(b)
				err := check.Run(t.Context(), b, "p/")
				if err == nil {
					t.Error("was not noticed")
				} else if strings.HasPrefix(err.Error(), "cleaning up") {
					t.Errorf("was noticed only by accident: %v", err)
				}
			})
		}
	}
	for name := range checks {
		if caught[name] == 0 {
			t.Errorf("nothing shows that the check %q can fail", name)
		}
	}
}
