package overhttp

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

const (
	// FirstDelay and MaxDelay bound the random delay before a request is tried again: it lies below a limit that begins with
	// FirstDelay and doubles each time (full jitter).
	FirstDelay = 200 * time.Millisecond
	MaxDelay   = 20 * time.Second

	// firstContact is the patience with what has never answered like a store: more likely its address is wrong than that it
	// is about to come back.
	firstContact = 10 * time.Second
	maxStalls    = 3           // in a row; each has cost a whole stall window
	maxAsked     = time.Minute // the longest delay a store may ask for
)

// Patience is that of one call of a sink's, with all the requests it takes: it runs out when nothing has succeeded for too long,
// not when many things took long.
type Patience struct {
	Limit    time.Duration // without a single success
	Answered *atomic.Bool  // the sink's: it has proved to be a store

	mu     sync.Mutex
	since  time.Time // of the first failure after the last success
	stalls int       // after the last success
}

// Worked takes note of a success.
func (p *Patience) Worked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since, p.stalls = time.Time{}, 0
}

// Lasts takes note of a failure, and tells whether to try again after it.
func (p *Patience) Lasts(err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		p.since = time.Now()
	}
	if errors.Is(err, sinks.ErrStalled) {
		p.stalls++
	}
	limit := p.Limit
	if !p.Answered.Load() {
		limit = min(limit, firstContact)
	}
	return p.stalls < maxStalls && time.Since(p.since) < limit
}

// RetryAfter reads the header of this name: the delay a store asks for, or 0. The form with a date is not worth trusting two clocks.
func RetryAfter(value string) time.Duration {
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxAsked)
}
