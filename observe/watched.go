package observe

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// watched is a cluster, and what was last read of it.
type watched struct {
	again chan struct{} // it is to be read at once

	mu     sync.Mutex
	target Target
	tried  bool
	late   bool      // the last time it was not done when the limit was over
	ok     bool      // it could be read the last time
	at     time.Time // when it could; zero if it never could
	facts  Facts     // from then
}

// keep takes note of a reading, and logs what is news.
func (w *watched) keep(log *slog.Logger, f Facts, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	news := !w.tried || w.ok != (err == nil)
	w.tried, w.ok, w.late = true, err == nil, errors.Is(err, errLate)
	switch {
	case err == nil:
		if news && !w.at.IsZero() {
			log.Info("the sinks can be read again", "cluster", w.target.Cluster)
		}
		w.facts, w.at = f, time.Now()
	case news:
		log.Warn("the sinks could not be read; what was known before stays in the metrics", "cluster", w.target.Cluster, "err", err.Error())
	}
}

func (w *watched) show(s shown) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.yes(s.success, w.ok)
	if w.at.IsZero() {
		return
	}
	s.at(s.read, w.at)
	s.plan(w.target.Plan)
	s.facts(w.facts, w.ok)
}

func (w *watched) set(t Target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.target = t
}

func (w *watched) name() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.target.Cluster
}

func (w *watched) read() func(context.Context) (Facts, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.target.Read
}

func (w *watched) wasTried() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tried
}

func (w *watched) wasLate() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.late
}

func (w *watched) readAgain() {
	select {
	case w.again <- struct{}{}:
	default:
	}
}
