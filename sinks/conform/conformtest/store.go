package conformtest

import (
	"net/http"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// A Store is a bucket of a real server, reached over HTTP by a provider, with what it takes to disturb the way there.
type Store struct {
	Requests
	Sink          func(t *testing.T, w Way) sinks.Sink
	Call          func(*http.Request) string                                        // says what a request is for
	Busy          func(req *http.Request, header ...string) (*http.Response, error) // answers that the store has too much to do
	Replace       func(t *testing.T, key string, body []byte)                       // puts an object whatever is there
	LeavesNothing func(t *testing.T, key string)                                    // checks that nothing remains of a failed put
	Tidy          func(t *testing.T, key string)                                    // checks that nothing but the object remains of a put
	Part          int                                                               // the largest size in bytes that is put with one request
}

// A Way is how a sink goes about it. What is zero is as usual.
type Way struct {
	Meddler  Meddler
	Stall    time.Duration
	Patience time.Duration
}

// Requests are the names of the requests that calls make of a store.
type Requests struct {
	Put    string   // puts an object at once
	Begin  string   // begins the upload of one that is too large for that
	Parts  []string // go on with it; the last completes it
	Get    string
	List   string
	Remove []string // look for an object, where that takes a request of its own, and remove it
}

func (r Requests) uploads() []string { return append([]string{r.Put, r.Begin}, r.Parts...) }

func (r Requests) all() []string {
	return append(append(r.uploads(), r.Get, r.List), r.Remove...)
}

// body makes what takes the given request to put: little, or more than one part.
func (s Store) body(seed byte, request string) []byte {
	if request == s.Put {
		return Content(seed, s.Part/2)
	}
	return Content(seed, s.Part+s.Part/2)
}

func (s Store) usual(t *testing.T) sinks.Sink {
	t.Helper()
	return s.Sink(t, Way{})
}
