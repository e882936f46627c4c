package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

func TestASinkThatGivesOtherBytesBackGetsNoManifest(t *testing.T) {
	t.Parallel()
	c := cluster(t, 1)
	flip := func(at func(n int) int) func([]byte) []byte {
		return func(b []byte) []byte { b[at(len(b))] ^= 1; return b }
	}
	for name, lie := range map[string]func([]byte) []byte{
		"first bit":  flip(func(int) int { return 0 }),
		"middle bit": flip(func(n int) int { return n / 2 }),
		"last bit":   flip(func(n int) int { return n - 1 }),
		"one short":  func(b []byte) []byte { return b[:len(b)-1] },
		"half":       func(b []byte) []byte { return b[:len(b)/2] },
		"nothing":    func([]byte) []byte { return nil },
		"one more":   func(b []byte) []byte { return append(b, 0) },
		"twice":      func(b []byte) []byte { return append(b, b...) },
	} {
		for _, plain := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, plain %v", name, plain), func(t *testing.T) {
				t.Parallel()
				good, bad := mem.New(), readsBack(lie)
				h := newHouse(t, c.Endpoints(), bad, good)
				h.Plain = plain
				mustLeaveOut(t, h, bad.Sink, good)
			})
		}
	}
	// Whole, sealed to the same key, of the same data: only not this one.
	t.Run("another backup", func(t *testing.T) {
		t.Parallel()
		var earlier []byte
		good, bad := mem.New(), readsBack(func(b []byte) []byte {
			if earlier == nil {
				earlier = b
			}
			return earlier
		})
		h := newHouse(t, c.Endpoints(), bad)
		first := h.run(t)
		if err := bad.Delete(t.Context(), catalog.ManifestKey("prod", first.Manifest.ID)); err != nil {
			t.Fatal(err)
		}
		h.Sinks = append(h.Sinks, catalog.Named{Name: "b", Sink: good})
		mustLeaveOut(t, h, bad.Sink, good)
	})
}

// mustLeaveOut backs up into both, then into the bad one alone, which is the first of the house.
func mustLeaveOut(t *testing.T, h *house, bad, good sinks.Sink) {
	t.Helper()
	r := h.run(t)
	if failed := r.Failed(); len(failed) != 1 || failed[0].Sink != "a" || !errors.Is(failed[0].Err, crypto.ErrDamaged) {
		t.Errorf("failed deliveries: %v", failed)
	}
	mustHoldNoManifest(t, bad)
	if got := latest(t, catalog.Trust{}, good).ID; got != r.Manifest.ID {
		t.Errorf("the good sink's latest is %s instead of %s", got, r.Manifest.ID)
	}

	h.Sinks = h.Sinks[:1]
	r, err := backup.Run(t.Context(), h.Options)
	var uncertain *backup.UncertainError
	if r != nil || !errors.Is(err, crypto.ErrDamaged) || errors.As(err, &uncertain) {
		t.Errorf("alone: result %v, error %v", r, err)
	}
	mustHoldNoManifest(t, bad)
}

func TestWithoutAnySinkThereIsNoBackup(t *testing.T) {
	t.Parallel()
	c := cluster(t, 1)
	breaksOff := func() *liar {
		return &liar{Sink: mem.New(), open: func(_ context.Context, key string, honest func() (io.ReadCloser, error)) (io.ReadCloser, error) {
			r, err := honest()
			if err != nil || !strings.HasPrefix(key, snapshots) {
				return r, err
			}
			return io.NopCloser(io.MultiReader(io.LimitReader(r, 1000), iotest.ErrReader(errBroken))), nil
		}}
	}
	mute := func() *liar { // it may have taken the manifest, and nobody can tell
		l := refusesToPut(manifests, true)
		l.open = refusesToOpen(manifests).open
		return l
	}
	for name, x := range map[string]struct {
		sink      func() *liar
		uncertain bool
		manifest  bool
	}{
		"no put":                    {sink: func() *liar { return refusesToPut(snapshots, false) }},
		"no open":                   {sink: func() *liar { return refusesToOpen(snapshots) }},
		"read breaks off":           {sink: breaksOff},
		"no put of the manifest":    {sink: func() *liar { return refusesToPut(manifests, false) }, uncertain: true},
		"manifest put, answer lost": {sink: mute, uncertain: true, manifest: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := x.sink(), x.sink()
			h := newHouse(t, c.Endpoints(), a, b)
			r, err := backup.Run(t.Context(), h.Options)
			if r != nil || !errors.Is(err, errBroken) || errors.Is(err, crypto.ErrDamaged) {
				t.Fatalf("result %v, error %v", r, err)
			}
			var uncertain *backup.UncertainError
			if errors.As(err, &uncertain) != x.uncertain {
				t.Errorf("uncertain must be %v: %v", x.uncertain, err)
			}
			if !x.manifest {
				mustHoldNoManifest(t, a.Sink, b.Sink)
				return
			}
			e := latest(t, catalog.Trust{}, a.Sink, b.Sink)
			if e.ID != uncertain.ID || len(e.Sinks) != 2 {
				t.Errorf("%s is in %v, and not %s in both", e.ID, e.Sinks, uncertain.ID)
			}
			h.mustOpen(t, b.Sink, e.Manifest)
		})
		t.Run(name+", but another sink is well", func(t *testing.T) {
			t.Parallel()
			good := mem.New()
			h := newHouse(t, c.Endpoints(), x.sink(), good)
			r := h.run(t)
			if failed := r.Failed(); len(failed) != 1 || failed[0].Sink != "a" || !errors.Is(failed[0].Err, errBroken) {
				t.Errorf("failed deliveries: %v", failed)
			}
			e := latest(t, catalog.Trust{}, good)
			if e.ID != r.Manifest.ID {
				t.Errorf("latest is %s instead of %s", e.ID, r.Manifest.ID)
			}
			h.mustOpen(t, good, e.Manifest)
		})
	}
}

func TestALostAnswerToTheManifestIsSettledByLooking(t *testing.T) {
	t.Parallel()
	s := refusesToPut(manifests, true)
	h := newHouse(t, cluster(t, 1).Endpoints(), s)
	r := h.run(t)
	if len(r.Failed()) > 0 {
		t.Errorf("failed deliveries: %v", r.Failed())
	}
	h.mustOpen(t, s, latest(t, catalog.Trust{}, s).Manifest)
}

// A diary is what happened in all sinks, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) write(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

// meet waits until n have come here.
type meet struct {
	all sync.WaitGroup
}

func meeting(n int) *meet {
	var m meet
	m.all.Add(n)
	return &m
}

func (m *meet) wait() error {
	m.all.Done()
	together := make(chan struct{})
	go func() { m.all.Wait(); close(together) }()
	select {
	case <-together:
		return nil
	case <-time.After(10 * time.Second):
		return errors.New("the other sinks are not served at the same time")
	}
}

func TestASinkThatHangsUntilTheTimeoutDoesNotCostTheSoundOne(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"put", "open"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			sound, hung := mem.New(), &liar{Sink: mem.New()}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			hang := func() error {
				for ctx.Err() == nil && !exists(ctx, sound, manifests) { // the sound one is committed meanwhile
					time.Sleep(10 * time.Millisecond)
				}
				cancel()
				return ctx.Err()
			}
			hung.put = func(_ context.Context, _ string, honest func() error) error {
				if where == "put" {
					return hang()
				}
				return honest()
			}
			hung.open = func(_ context.Context, _ string, honest func() (io.ReadCloser, error)) (io.ReadCloser, error) {
				return nil, hang()
			}
			h := newHouse(t, cluster(t, 1).Endpoints(), sound, hung)
			r, err := backup.Run(ctx, h.Options)
			if err != nil {
				t.Fatal(err)
			}
			if failed := r.Failed(); len(failed) != 1 || failed[0].Sink != h.Sinks[1].Name {
				t.Errorf("failed: %v", failed)
			}
		})
	}
}

// exists tells whether a sink holds anything under prefix.
func exists(ctx context.Context, s sinks.Sink, prefix string) bool {
	for range s.List(ctx, prefix) {
		return true
	}
	return false
}

// TestNoManifestIsPutBeforeItsSinkWasReadToItsEnd also sees that sinks are served side by side and get one and the same manifest.
func TestNoManifestIsPutBeforeItsSinkWasReadToItsEnd(t *testing.T) {
	t.Parallel()
	const n = 3
	diaries := make([]diary, n)
	putting, reading := meeting(n), meeting(n)
	all := make([]sinks.Sink, n)
	for i := range all {
		s, d := &liar{Sink: mem.New()}, &diaries[i]
		s.put = func(_ context.Context, key string, honest func() error) error {
			if strings.HasPrefix(key, manifests) {
				d.write("manifest")
				return honest()
			}
			return errors.Join(putting.wait(), honest())
		}
		s.open = func(_ context.Context, key string, honest func() (io.ReadCloser, error)) (io.ReadCloser, error) {
			r, err := honest()
			if err != nil || strings.HasPrefix(key, manifests) {
				return r, err
			}
			read := 0
			return &watched{r, func(n int, err error) {
				if read += n; err == io.EOF {
					time.Sleep(time.Duration(i) * 100 * time.Millisecond)
					d.write(fmt.Sprintf("read %d", read))
				}
			}}, reading.wait()
		}
		all[i] = s
	}
	h := newHouse(t, cluster(t, 1).Endpoints(), all...)
	r := h.run(t)
	for _, f := range r.Failed() {
		t.Error(f.Err)
	}
	whole := fmt.Sprintf("read %d", r.Manifest.Sealed.Size)
	for i := range diaries {
		lines := slices.Compact(diaries[i].lines) // a reader may be asked again after its end
		if want := []string{whole, "manifest"}; !slices.Equal(lines, want) {
			t.Errorf("sink %d, in order: %q, want %q", i, lines, want)
		}
	}

	key := catalog.ManifestKey("prod", r.Manifest.ID)
	for i, s := range all {
		if text := object(t, s, key); string(text) != string(object(t, all[0], key)) {
			t.Errorf("sink %d has another manifest: %s", i, text)
		}
	}
	if !r.Manifest.ReadBack.OK || r.Manifest.BucketTime.IsZero() {
		t.Errorf("read-back %+v, bucket time %s", r.Manifest.ReadBack, r.Manifest.BucketTime)
	}
}
