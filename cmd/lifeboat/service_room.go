package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// room is the folder that jobs share for their spools. Who needs more than is left waits until another is done; one alone is never held up.
type room struct {
	dir    string
	budget byteSize // 0: what is free in dir

	mu       sync.Mutex
	reserved int64
	freed    chan struct{} // closed when somebody gives room back; nil if nobody waits
}

// reserve waits for room for so many bytes, and returns what gives it back.
func (r *room) reserve(ctx context.Context, bytes int64) (release func(), err error) {
	for {
		wait := r.take(bytes)
		if wait == nil {
			return sync.OnceFunc(func() { r.giveBack(bytes) }), nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for room in %s, where others need %s: %w", r.dir, bytesText(bytes), context.Cause(ctx))
		}
	}
}

// take reserves, or returns what to wait for.
func (r *room) take(bytes int64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reserved == 0 || r.holds(r.reserved+bytes) {
		r.reserved += bytes
		return nil
	}
	if r.freed == nil {
		r.freed = make(chan struct{})
	}
	return r.freed
}

// holds tells whether so much fits. What others have written already counts twice without a budget: what they still need is not known.
func (r *room) holds(bytes int64) bool {
	if r.budget > 0 {
		return bytes <= int64(r.budget)
	}
	return snapshot.Room(r.dir, bytes) == nil
}

func (r *room) giveBack(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reserved -= bytes
	if r.freed != nil {
		close(r.freed)
		r.freed = nil
	}
}

// byteSize is a flag with a size such as 20GiB.
type byteSize int64

func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return bytesText(int64(*b))
}

// Type implements [pflag.Value].
func (b *byteSize) Type() string { return "size" }

// Set implements [pflag.Value].
func (b *byteSize) Set(text string) error {
	unit := int64(1)
	number := text
	for i, suffix := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n, found := strings.CutSuffix(text, suffix); found {
			number, unit = n, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(n*float64(unit) >= 1 && n*float64(unit) < math.MaxInt64) { // NaN is neither
		return fmt.Errorf("it is not a size such as 500MiB or 20GiB")
	}
	*b = byteSize(n * float64(unit))
	return nil
}
