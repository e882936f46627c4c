package overhttp

import (
	"errors"
	"strconv"
	"sync"
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
	Limit   time.Duration // without a single success
	Contact *Contact      // the sink's

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
	return p.stalls < maxStalls && time.Since(p.since) < p.Limit && p.Contact.hoped()
}

// Contact is what a sink knows of its store: whether it has ever answered like one. While it has not, all calls share one short
// patience, so that what is away costs a run its ten seconds once and not for every object.
type Contact struct {
	mu   sync.Mutex
	made bool
	lost time.Time // the first failure
}

// Made takes note that the store has answered.
func (c *Contact) Made() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = true
}

// hoped takes note of a failure, and tells whether the store may still come.
func (c *Contact) hoped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost.IsZero() {
		c.lost = time.Now()
	}
	return c.made || time.Since(c.lost) < firstContact
}

// RetryAfter reads the header of this name: the delay a store asks for, or 0. The form with a date is not worth trusting two clocks.
func RetryAfter(value string) time.Duration {
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxAsked)
}
