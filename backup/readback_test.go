package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// arrivesAs is a sink that stores other bytes of the payload than it was sent: on their way, or by somebody who came in between.
func arrivesAs(lie func(was []byte) []byte) *liar {
	l := &liar{Sink: mem.New()}
	l.put = func(ctx context.Context, key string, honest func() error) error {
		if err := honest(); err != nil || !strings.HasPrefix(key, snapshots) {
			return err
		}
		r, err := l.Sink.Open(ctx, key, 0)
		if err != nil {
			return err
		}
		was, err := io.ReadAll(r)
		became := lie(bytes.Clone(was))
		return errors.Join(err, l.Sink.Delete(ctx, key), l.Sink.Put(ctx, key, bytes.NewReader(became), int64(len(became))))
	}
	return l
}

// TestWhatEachModeFindsOfAFlippedByte documents what a checksum of the store's cannot find, too: that its disk gives back something else than it took.
func TestWhatEachModeFindsOfAFlippedByte(t *testing.T) {
	t.Parallel()
	c := cluster(t, 1)
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	cut := func(b []byte) []byte { return b[:len(b)-1] }
	for _, x := range []struct {
		name  string
		sink  func() *liar
		mode  catalog.ReadBackMode
		found bool
	}{
		{"arrives flipped", func() *liar { return arrivesAs(flip) }, catalog.ReadBackAlways, true},
		{"arrives flipped", func() *liar { return arrivesAs(flip) }, catalog.ReadBackDaily, true},
		{"arrives flipped", func() *liar { return arrivesAs(flip) }, catalog.ReadBackChecksum, true},
		{"arrives cut", func() *liar { return arrivesAs(cut) }, catalog.ReadBackChecksum, true},
		{"flips on the disk", func() *liar { return readsBack(flip) }, catalog.ReadBackAlways, true},
		{"flips on the disk", func() *liar { return readsBack(flip) }, catalog.ReadBackDaily, true}, // it is the first of the day
		{"flips on the disk", func() *liar { return readsBack(flip) }, catalog.ReadBackChecksum, false},
	} {
		t.Run(fmt.Sprintf("%s, %s", x.name, x.mode), func(t *testing.T) {
			t.Parallel()
			good, bad := mem.New(), x.sink()
			h := newHouse(t, c.Endpoints(), bad, good)
			h.ReadBack = map[string]catalog.ReadBackMode{"a": x.mode}
			if x.found {
				mustLeaveOut(t, h, bad.Sink, good)
				return
			}
			r := h.run(t)
			e := latest(t, catalog.Trust{}, bad)
			if len(r.Failed()) > 0 || r.Sinks[0].Full || !r.Sinks[1].Full || e.ReadBack.OK || e.ReadBack.Mode != x.mode || e.ReadInFull() {
				t.Errorf("deliveries %+v, manifest %+v", r.Sinks, e.ReadBack)
			}
			// Beside the copy that was read back it counts.
			if e := latest(t, catalog.Trust{}, good); !e.ReadBack.FullIn("b") || e.ReadBack.FullIn("a") {
				t.Errorf("the manifest says %+v", e.ReadBack)
			}
		})
	}
}

// A counted sink counts how often payloads are opened.
func counted() (*liar, *int) {
	opened := new(int)
	return &liar{Sink: mem.New(), open: func(_ context.Context, key string, honest func() (io.ReadCloser, error)) (io.ReadCloser, error) {
		if strings.HasPrefix(key, snapshots) {
			*opened++
		}
		return honest()
	}}, opened
}

// TestDailyReadsTheFirstOfADayAndAfterAFailure follows one sink over two days.
func TestDailyReadsTheFirstOfADayAndAfterAFailure(t *testing.T) {
	t.Parallel()
	s, opened := counted()
	h := newHouse(t, cluster(t, 1).Endpoints(), s)
	h.ReadBack = map[string]catalog.ReadBackMode{"a": catalog.ReadBackDaily}
	run := func(what, at string, full bool) {
		t.Helper()
		start, err := time.Parse(time.DateTime, "2026-11-"+at)
		if err != nil {
			t.Fatal(err)
		}
		h.startClock(start)
		*opened = 0
		r := h.run(t)
		back := r.Manifest.ReadBack
		want := catalog.ReadBack{Mode: catalog.ReadBackDaily, OK: full, Sinks: []catalog.SinkReadBack{{Sink: "a", Mode: catalog.ReadBackDaily, Full: full}}}
		if (*opened == 1) != full || *opened > 1 || back.Mode != want.Mode || back.OK != want.OK || back.Sinks[0] != want.Sinks[0] {
			t.Errorf("%s: opened %d times, the manifest says %+v", what, *opened, back)
		}
	}
	run("the first of all", "20 12:00:00", true)
	run("the second of the day", "20 12:15:00", false)
	run("the third of the day", "20 23:59:00", false)
	run("the first of the next day", "21 00:00:30", true)
	run("another of that day", "21 00:15:00", false)

	s.put = func(ctx context.Context, key string, honest func() error) error {
		if !strings.HasPrefix(key, snapshots) {
			return honest()
		}
		return s.Sink.Put(ctx, key, strings.NewReader("something else"), 14)
	}
	h.startClock(time.Date(2026, 11, 21, 0, 30, 0, 0, time.UTC))
	if _, err := backup.Run(t.Context(), h.Options); !errors.Is(err, crypto.ErrDamaged) {
		t.Errorf("of something else the run says %v", err)
	}
	s.put = nil
	run("after one that failed", "21 00:45:00", true)
	run("after that", "21 01:00:00", false)
	list := listing(t, catalog.Trust{}, s)
	if err := s.Delete(t.Context(), catalog.ManifestKey("prod", list.Entries[len(list.Entries)-1].ID)); err != nil {
		t.Fatal(err)
	}
	run("after one without its manifest", "21 01:15:00", true)
	run("on a day that was gone through before, by a clock that was set back", "20 13:00:00", true)
	run("again on that day", "20 13:15:00", true)
}

// TestAStoreWithoutChecksumsIsReadBackInFull, whatever is configured, and the manifest says that it was.
func TestAStoreWithoutChecksumsIsReadBackInFull(t *testing.T) {
	t.Parallel()
	c := cluster(t, 1)
	for name, told := range map[string]func() (sinks.Checksum, error){
		"none": func() (sinks.Checksum, error) {
			return sinks.Checksum{}, &sinks.Error{Op: "checksum", Err: sinks.NoChecksum()}
		},
		"unknown": func() (sinks.Checksum, error) { return sinks.Checksum{Size: 1, Algorithm: "moon"}, nil },
	} {
		s, opened := counted()
		var log bytes.Buffer
		h := newHouse(t, c.Endpoints(), &telling{s, told})
		h.Log = slog.New(slog.NewTextHandler(&log, nil))
		h.ReadBack = map[string]catalog.ReadBackMode{"a": catalog.ReadBackChecksum}
		r := h.run(t)
		if *opened != 1 || !r.Sinks[0].Full || !r.Manifest.ReadBack.OK || r.Manifest.ReadBack.Mode != catalog.ReadBackChecksum {
			t.Errorf("%s: opened %d times, %+v, the manifest says %+v", name, *opened, r.Sinks, r.Manifest.ReadBack)
		}
		if !strings.Contains(log.String(), "read back in full") {
			t.Errorf("%s: the log says nothing of it:\n%s", name, log.String())
		}
	}
	h := newHouse(t, c.Endpoints(), struct{ sinks.Sink }{mem.New()})
	h.ReadBack = map[string]catalog.ReadBackMode{"a": catalog.ReadBackDaily}
	for range 2 {
		if r := h.run(t); !r.Sinks[0].Full || !r.Manifest.ReadBack.OK {
			t.Errorf("a sink that is asked for no checksum: %+v, the manifest says %+v", r.Sinks, r.Manifest.ReadBack)
		}
	}
}

// telling says something else of checksums than its sink does.
type telling struct {
	*liar
	told func() (sinks.Checksum, error)
}

func (l *telling) Checksum(context.Context, string) (sinks.Checksum, error) { return l.told() }

// TestAStoreThatDoesNotAnswerForItsChecksumGetsNoManifest: no answer is no proof.
func TestAStoreThatDoesNotAnswerForItsChecksumGetsNoManifest(t *testing.T) {
	t.Parallel()
	s, good := &telling{&liar{Sink: mem.New()}, func() (sinks.Checksum, error) { return sinks.Checksum{}, errBroken }}, mem.New()
	h := newHouse(t, cluster(t, 1).Endpoints(), s, good)
	h.ReadBack = map[string]catalog.ReadBackMode{"a": catalog.ReadBackChecksum}
	if failed := h.run(t).Failed(); len(failed) != 1 || !errors.Is(failed[0].Err, errBroken) {
		t.Errorf("failed deliveries: %v", failed)
	}
	mustHoldNoManifest(t, s)
}

// TestNobodyUnsignedKeepsABackupFromBeingReadBack: who can write to a sink could say that today's was.
func TestNobodyUnsignedKeepsABackupFromBeingReadBack(t *testing.T) {
	t.Parallel()
	s, opened := counted()
	h := newHouse(t, cluster(t, 1).Endpoints(), s)
	h.ReadBack = map[string]catalog.ReadBackMode{"a": catalog.ReadBackDaily}
	h.run(t) // signed by nobody
	h.sign(t)
	for i, full := range []bool{true, false} {
		*opened = 0
		if r := h.run(t); r.Sinks[0].Full != full || (*opened == 1) != full {
			t.Errorf("signed run %d: opened %d times, %+v", i+1, *opened, r.Sinks)
		}
	}
}
