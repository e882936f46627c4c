package overhttp

import (
	"io"
	"sync"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// A Source is the caller's body. It remembers when that fails: a store's client takes such a failure for the network's, and
// would try for minutes.
type Source struct {
	body io.ReaderAt

	mu  sync.Mutex
	err error
}

// NewSource makes a source of a body.
func NewSource(body io.ReaderAt) *Source { return &Source{body: body} }

// ReadAt reads from the body; what it is asked for always lies before its size.
func (s *Source) ReadAt(p []byte, off int64) (int, error) {
	if err := sinks.ReadBody(s.body, p, off); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err == nil {
			s.err = err
		}
		return 0, err
	}
	return len(p), nil
}

// Broken returns the body's first failure. A nil source, of a request without a body, has none.
func (s *Source) Broken() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
