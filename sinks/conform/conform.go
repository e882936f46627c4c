// Package conform is the contract of sinks.Sink as a list of checks. Every provider's tests run it, and so does
// `lifeboat sink check` against a user's own bucket: it asks nothing of a sink beyond the interface.
//
// What needs a second, wrong sink (an unknown bucket, bad credentials) is each provider's own to test.
package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Checks returns all checks, in an order that makes the first failure the most telling one. They are independent of
// each other and may run at once.
func Checks() []sinks.Check {
	return slices.Concat(putChecks(), failureChecks(), raceChecks(), openChecks(), listChecks(), deleteChecks(), keyChecks(), checksumChecks())
}

// A trial is one check under way: a sink, and a prefix of its own.
type trial struct {
	sinks.Sink
	prefix string
}

// A CleanupError is a check that passed and could not remove what it had put. One that did not pass has its own error first.
type CleanupError struct{ Err error }

func (e *CleanupError) Error() string { return "cleaning up: " + e.Err.Error() }

// Unwrap returns what stood in the way.
func (e *CleanupError) Unwrap() error { return e.Err }

// check makes a Check that cleans up behind itself, whatever run has left and even when ctx has ended.
func check(name string, run func(ctx context.Context, t trial) error) sinks.Check {
	return sinks.Check{Name: name, Run: func(ctx context.Context, s sinks.Sink, prefix string) error {
		t := trial{Sink: s, prefix: prefix + strings.ReplaceAll(name, " ", "-") + "/"}
		err := run(ctx, t)
		cleanErr := t.clean(context.WithoutCancel(ctx))
		switch {
		case cleanErr == nil:
			return err
		case err == nil:
			return &CleanupError{cleanErr}
		}
		return errors.Join(err, fmt.Errorf("cleaning up: %w", cleanErr))
	}}
}

// clean deletes all that is left below the trial's prefix.
func (t trial) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	found, err := t.list(ctx, t.prefix)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for _, o := range found {
		g.Go(func() error { return t.Delete(ctx, o.Key) })
	}
	return g.Wait()
}

func (t trial) list(ctx context.Context, prefix string) ([]sinks.Object, error) {
	var found []sinks.Object
	for o, err := range t.List(ctx, prefix) {
		if err != nil {
			return found, err
		}
		found = append(found, o)
	}
	return found, nil
}

// part is the size from which the sink may work in parts, in bytes.
func (t trial) part() int64 {
	if p, ok := t.Sink.(interface{ PartSize() int64 }); ok {
		return p.PartSize()
	}
	return 1 << 20
}

func (t trial) put(ctx context.Context, key string, body []byte) error {
	return t.Put(ctx, key, bytes.NewReader(body), int64(len(body)))
}

// holds says in what the object under key differs from want.
func (t trial) holds(ctx context.Context, key string, want []byte) error {
	got, err := t.read(ctx, key, 0, int64(len(want)))
	if err != nil {
		return err
	}
	if at := firstDifference(got, want); at >= 0 {
		return fmt.Errorf("%s reads back as %d bytes, put were %d; they differ from byte %d on", key, len(got), len(want), at)
	}
	found, err := t.list(ctx, key)
	if err != nil {
		return err
	}
	if len(found) == 0 || found[0].Key != key || found[0].Size != int64(len(want)) {
		return fmt.Errorf("%s holds %d bytes but is listed as %v", key, len(want), found)
	}
	return nil
}

// read reads an object from off on, but not much more than the expected bytes.
func (t trial) read(ctx context.Context, key string, off, expected int64) ([]byte, error) {
	r, err := t.Open(ctx, key, off)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(io.LimitReader(r, expected+1024))
	return got, errors.Join(err, r.Close())
}

// absent says how an object shows that must not be there.
func (t trial) absent(ctx context.Context, key string) error {
	r, err := t.Open(ctx, key, 0)
	if err == nil {
		return errors.Join(fmt.Errorf("%s can be opened, though it must not be there", key), r.Close())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("opening %s, which is not there, gives the wrong kind of error: %w", key, err)
	}
	found, err := t.list(ctx, key)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("%s is listed, though it cannot be opened: %v", key, found)
	}
	return nil
}

// wants says whether err is of the kind it should be.
func wants(kind, err error, doing string) error {
	switch {
	case err == nil:
		return fmt.Errorf("%s succeeds, but should fail (%w)", doing, kind)
	case !errors.Is(err, kind):
		return fmt.Errorf("%s fails with the wrong kind of error, not %q: %w", doing, kind, err)
	}
	return nil
}

// content makes size bytes that are different for every seed and hard to compress.
func content(seed uint64, size int64) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1}).Read(b) // never fails
	return b
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) == len(b) {
		return -1
	}
	return n
}
