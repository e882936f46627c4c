package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// sleepy is a store that takes every request and answers none while it is silent, or none after some objects of a listing.
type sleepy struct {
	*mem.Sink
	silent atomic.Bool
	after  int
	asked  atomic.Int64
	pause  time.Duration // between objects of a listing
}

func (m *sleepy) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	m.asked.Add(1)
	return func(yield func(sinks.Object, error) bool) {
		n := 0
		for o, err := range m.Sink.List(ctx, prefix) {
			if m.silent.Load() && n == m.after {
				<-ctx.Done()
				yield(o, ctx.Err())
				return
			}
			n++
			time.Sleep(m.pause)
			if !yield(o, err) {
				return
			}
		}
	}
}

func (m *sleepy) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	m.asked.Add(1)
	if m.silent.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return m.Sink.Open(ctx, key, off)
}

func listed(ctx context.Context, s sinks.Sink) (n int, err error) {
	for _, err := range s.List(ctx, "") {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func TestAStoreThatDoesNotAnswerIsAskedByOneForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &sleepy{Sink: mem.New(), after: 2, pause: 15 * time.Second}
		for _, key := range []string{"a", "b", "c", "d"} {
			if err := m.Put(t.Context(), key, strings.NewReader("x"), 1); err != nil {
				t.Fatal(err)
			}
		}
		p := &patience{limit: 20 * time.Second, rest: time.Minute}
		s := p.with([]catalog.Named{{Name: "mem:", Sink: m}})[0].Sink
		if n, err := listed(t.Context(), s); n != 4 || err != nil { // slow as it is, something always comes
			t.Fatalf("%d are listed, %v", n, err)
		}
		m.silent.Store(true)
		began := time.Now()
		n, err := listed(t.Context(), s)
		if took := time.Since(began); n != 2 || !errors.Is(err, sinks.ErrStalled) || took != 50*time.Second {
			t.Errorf("after %s %d were listed, %v", took, n, err)
		}
		asked := m.asked.Load()
		for range 100 {
			if _, err := s.Open(t.Context(), "a", 0); !errors.Is(err, sinks.ErrStalled) || !strings.Contains(err.Error(), "did not answer within 20s") {
				t.Errorf("it says %v", err)
			}
		}
		if m.asked.Load() != asked {
			t.Error("a store that was silent is asked again at once")
		}
		time.Sleep(time.Minute)
		done := make(chan struct{})
		for range 8 {
			go func() { _, _ = listed(t.Context(), s); done <- struct{}{} }()
		}
		for range 8 {
			<-done
		}
		if n := m.asked.Load() - asked; n != 1 {
			t.Errorf("%d tried it at once", n)
		}
		m.silent.Store(false)
		time.Sleep(time.Minute)
		if n, err := listed(t.Context(), s); n != 4 || err != nil {
			t.Errorf("it did not come back: %d, %v", n, err)
		}
		r, err := s.Open(t.Context(), "a", 0)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); string(b) != "x" || err != nil || r.Close() != nil {
			t.Errorf("it reads %q, %v", b, err)
		}
	})
}

// TestASilentSinkHidesNothingOfTheOther: the one that answers is read to the end.
func TestASilentSinkHidesNothingOfTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShore(t, "")
		id := s.backup(0, 100, 50, s.signers, nil)
		m := &sleepy{Sink: mem.New()}
		if err := m.Put(t.Context(), "v1/prod/manifests/x", strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
		m.silent.Store(true)
		p := &patience{limit: 20 * time.Second, rest: time.Minute}
		b := &bucket{sinks: p.with([]catalog.Named{{Name: "mem:", Sink: m}, s.b}), cluster: "prod", trust: s.trust}
		began := time.Now()
		l, err := b.list(t.Context(), streams{err: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		b.findPayloads(t.Context(), streams{err: io.Discard}, &l)
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("it took %s", took)
		}
		if len(l.Entries) != 1 || l.Entries[0].ID != id || len(l.Entries[0].Lacking) != 0 || len(l.Problems) != 1 {
			t.Errorf("there are %d backups, and the problems %v", len(l.Entries), l.Problems)
		}
	})
}
