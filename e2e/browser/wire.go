package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"
)

type object = map[string]any

// message is one of the DevTools protocol, in either direction: JSON that ends with a zero byte.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// wire sends calls, one at a time, and keeps every event.
type wire struct {
	in      io.Writer
	last    int
	answers chan message

	mu     sync.Mutex
	events []message
	news   chan struct{} // closed and made again with every event
	ended  chan struct{} // closed when nothing more comes
}

func newWire(in io.Writer, out io.Reader) *wire {
	w := &wire{in: in, answers: make(chan message, 1), news: make(chan struct{}), ended: make(chan struct{})}
	go w.read(bufio.NewReader(out))
	return w
}

func (w *wire) read(out *bufio.Reader) {
	defer close(w.ended)
	for {
		text, err := out.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if err := json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m); err != nil {
			return
		}
		if m.ID != 0 {
			w.answers <- m
			continue
		}
		w.mu.Lock()
		w.events = append(w.events, m)
		close(w.news)
		w.news = make(chan struct{})
		w.mu.Unlock()
	}
}

// call sends a call and decodes its answer into result, if that is not nil.
func (w *wire) call(t testing.TB, session, method string, params object, result any) {
	t.Helper()
	w.last++
	m := message{ID: w.last, Session: session, Method: method}
	var err error
	if m.Params, err = json.Marshal(params); err != nil {
		t.Fatal(err)
	}
	if params == nil {
		m.Params = nil
	}
	text, err := json.Marshal(m)
	if err == nil {
		_, err = w.in.Write(append(text, 0))
	}
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	select {
	case got := <-w.answers:
		if got.ID != m.ID || got.Error != nil {
			t.Fatalf("%s: %s", method, got.Error)
		}
		if result != nil {
			err = json.Unmarshal(got.Result, result)
		}
	case <-w.ended:
		err = fmt.Errorf("chromium ended")
	case <-time.After(patience):
		err = fmt.Errorf("no answer in %s", patience)
	}
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

// heard are the events of a session with one of these names, so far.
func (w *wire) heard(session string, methods ...string) (all []message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Session == session && slices.Contains(methods, e.Method) {
			all = append(all, e)
		}
	}
	return all
}

// wait waits for an event of a session.
func (w *wire) wait(t testing.TB, session, method string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		news := w.news
		w.mu.Unlock()
		if len(w.heard(session, method)) > 0 {
			return
		}
		select {
		case <-news:
		case <-w.ended:
			t.Fatalf("Chromium ended before %s", method)
		case <-deadline:
			t.Fatalf("no %s in %s", method, patience)
		}
	}
}
