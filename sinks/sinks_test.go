package sinks_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

func TestPrefixesMayStopAnywhereInAKey(t *testing.T) {
	t.Parallel()
	key := "v1/a.b/..c/" + strings.Repeat("n", 255) + "/end"
	if err := sinks.CheckKey(key); err != nil {
		t.Fatal(err)
	}
	for i := range len(key) + 1 {
		if err := sinks.CheckPrefix(key[:i]); err != nil {
			t.Errorf("%q: %v", key[:i], err)
		}
	}
	for _, prefix := range []string{"/", "a//", "../", "a/../", "./", "a\x00", strings.Repeat("a", 256)} {
		if err := sinks.CheckPrefix(prefix); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

func TestErrorsMatchTheirKindsAndSayOnlyTheirText(t *testing.T) {
	t.Parallel()
	var err error = &sinks.Error{Op: "open", Sink: "memory", Key: "a/b", Err: sinks.Because("no such object", fs.ErrNotExist)}
	err = fmt.Errorf("restore: %w", err)
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		t.Errorf("%v is of the wrong kind", err)
	}
	if err.Error() != "restore: open a/b in memory: no such object" {
		t.Errorf("the error says: %v", err)
	}
	if text := (&sinks.Error{Op: "list", Sink: "memory", Err: sinks.ErrNoBucket}).Error(); text != "list memory: no such bucket" {
		t.Errorf("the error says: %s", text)
	}
}

func TestWatchdogBarksOnceWhenTooLittleMoves(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		act   func(w *sinks.Watchdog)
		barks int
	}{
		"nothing moves":      {func(*sinks.Watchdog) { time.Sleep(31 * time.Second) }, 1},
		"for long":           {func(*sinks.Watchdog) { time.Sleep(5 * time.Minute) }, 1},
		"not yet":            {func(*sinks.Watchdog) { time.Sleep(29 * time.Second) }, 0},
		"a trickle":          {every(time.Second, sinks.StallBytes/100), 1},
		"slow but alive":     {every(20*time.Second, sinks.StallBytes), 0},
		"in small pieces":    {every(time.Second, sinks.StallBytes/10), 0},
		"then it stops":      {func(w *sinks.Watchdog) { every(time.Second, 1<<20)(w); time.Sleep(31 * time.Second) }, 1},
		"nobody waits":       {func(w *sinks.Watchdog) { w.Pause(); time.Sleep(time.Hour); w.Resume() }, 0},
		"waits add up":       {waits(4, 10*time.Second), 1},
		"waits between data": {func(w *sinks.Watchdog) { waits(2, 10*time.Second)(w); w.Moved(1 << 20); waits(2, 10*time.Second)(w) }, 0},
		"it is over":         {func(w *sinks.Watchdog) { w.Stop(); w.Resume(); time.Sleep(time.Hour) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				barks := 0
				w := sinks.NewWatchdog(sinks.StallAfter, func() { barks++ })
				w.Resume()
				c.act(w)
				synctest.Wait()
				if barks != c.barks {
					t.Errorf("it barked %d times, not %d", barks, c.barks)
				}
				w.Stop()
			})
		})
	}
}

func every(pause time.Duration, n int) func(*sinks.Watchdog) {
	return func(w *sinks.Watchdog) {
		for range 100 {
			time.Sleep(pause)
			w.Moved(n)
		}
	}
}

func waits(n int, each time.Duration) func(*sinks.Watchdog) {
	return func(w *sinks.Watchdog) {
		for range n {
			w.Pause()
			time.Sleep(time.Hour)
			w.Resume()
			time.Sleep(each)
		}
	}
}
