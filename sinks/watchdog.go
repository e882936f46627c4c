package sinks

import (
	"sync"
	"time"
)

const (
	// StallBytes is how much has to move within [StallAfter] for a transfer to count as alive. Bytes and not
	// messages are counted: a broken peer can send empty messages for ever.
	StallBytes = 64 << 10
	// StallAfter is how long a transfer may go without StallBytes of progress.
	StallAfter = 30 * time.Second
)

// A Watchdog calls a function, once, when less than StallBytes moved within a window of time. It can be paused
// while nobody waits for the transfer, as when the reader of a download is busy with what it has. A new one is paused.
type Watchdog struct {
	window time.Duration
	stall  func()

	mu    sync.Mutex
	timer *time.Timer   // nil while paused
	until time.Time     // when the timer fires
	left  time.Duration // of the window, while paused
	moved int           // bytes since the window began
	done  bool
}

// NewWatchdog makes a paused watchdog.
func NewWatchdog(window time.Duration, stall func()) *Watchdog {
	return &Watchdog{window: window, left: window, stall: stall}
}

// Moved tells of n bytes of progress.
func (w *Watchdog) Moved(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.moved += n; w.moved < StallBytes {
		return
	}
	w.moved, w.left = 0, w.window
	if w.timer != nil {
		w.until = time.Now().Add(w.window)
		w.timer.Reset(w.window)
	}
}

// Resume lets time count.
func (w *Watchdog) Resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil || w.done {
		return
	}
	w.until = time.Now().Add(w.left)
	w.timer = time.AfterFunc(w.left, w.fire)
}

// Pause stops the clock; what is left of the window is kept.
func (w *Watchdog) Pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		return
	}
	w.timer.Stop()
	w.timer, w.left = nil, max(time.Until(w.until), 0)
}

// Stop ends the watch for good.
func (w *Watchdog) Stop() {
	w.Pause()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = true
}

func (w *Watchdog) fire() {
	w.mu.Lock()
	// The timer may have fired while Moved or Pause held the lock and changed its mind.
	bark := w.timer != nil && !w.done && !time.Now().Before(w.until)
	if bark {
		w.timer, w.done = nil, true
	}
	w.mu.Unlock()
	if bark {
		w.stall()
	}
}
