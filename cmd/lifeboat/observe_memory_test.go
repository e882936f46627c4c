package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/observe"
	"github.com/lifeboat-dr/lifeboat/retention"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// fetched counts what is fetched from a sink.
type fetched struct {
	sinks.Sink
	notes atomic.Int64
}

func (f *fetched) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	f.notes.Add(1)
	return f.Sink.Open(ctx, key, off)
}

// TestAnObserverFetchesOnlyWhatIsNew holds what is told from memory to what is told without one.
func TestAnObserverFetchesOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	s := newShore(t, "")
	ids := []catalog.ID{s.backup(0, 100, 50, s.signers, nil), s.backup(1, 101, 50, s.signers, nil)}
	s.report(ids[0], 5, catalog.Report{Report: catalog.ReportRehearse, OK: true}, s.signers)
	near := &fetched{Sink: s.a.Sink}
	m := &memory{left: &atomic.Int64{}}
	m.left.Store(memoryBudget)
	read := func() (notes int64) {
		t.Helper()
		before, p := near.notes.Load(), m.begin()
		tells := func(sink catalog.Named) observe.Facts {
			b := &bucket{sinks: []catalog.Named{sink}, cluster: "prod", trust: s.trust}
			l, err := b.list(t.Context(), streams{err: io.Discard})
			s.must(err)
			return newStatusJSON(l, nil, b, s.at(60)).facts(l, b, []string{"near"}, retention.Policy{})
		}
		got := tells(p.with([]catalog.Named{{Name: s.a.Name, Sink: near}})[0])
		p.end()
		if diff := cmp.Diff(tells(s.a), got); diff != "" {
			t.Errorf("what is known is not what is there (-want +got):\n%s", diff)
		}
		return near.notes.Load() - before
	}
	if n := read(); n != 3 {
		t.Errorf("%d notes were fetched of 3", n)
	}
	if n := read(); n != 0 {
		t.Errorf("%d notes were fetched again", n)
	}
	ids = append(ids, s.backup(2, 102, 50, s.signers, nil))
	if n := read(); n != 1 {
		t.Errorf("%d notes were fetched where one is new", n)
	}
	// Somebody puts another one of the same size in the place of one.
	key := catalog.ManifestKey("prod", ids[2])
	r, err := s.a.Open(t.Context(), key, 0)
	s.must(err)
	text, err := io.ReadAll(r)
	s.must(err)
	s.must(r.Close())
	s.must(s.a.Delete(t.Context(), key))
	time.Sleep(50 * time.Millisecond) // a directory tells the time by the ticks of its kernel
	s.must(s.a.Put(t.Context(), key, strings.NewReader(strings.Replace(string(text), `"revision":102`, `"revision":103`, 1)), int64(len(text))))
	if n := read(); n != 1 {
		t.Errorf("%d notes were fetched where one is another", n)
	}
	for _, id := range ids {
		s.must(s.a.Delete(t.Context(), catalog.ManifestKey("prod", id)))
	}
	s.must(s.a.Delete(t.Context(), catalog.Report{Report: catalog.ReportRehearse, ID: ids[0], Cluster: "prod", Time: s.at(5)}.Key()))
	if read(); m.left.Load() != memoryBudget || len(m.kept) != 0 {
		t.Errorf("%d notes are kept of what is gone, and %d bytes are left", len(m.kept), m.left.Load())
	}
}

// TestWhatWasOverwrittenUnderItsTimeIsSeenWithinADay: a store that tells seconds has one time for two puts, and in a directory anybody who may write sets it.
func TestWhatWasOverwrittenUnderItsTimeIsSeenWithinADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShore(t, "")
		file := filepath.Join(s.dir, "a", catalog.ManifestKey("prod", s.backup(0, 100, 50, s.signers, nil)))
		m := &memory{left: &atomic.Int64{}}
		m.left.Store(memoryBudget)
		whole := func() bool {
			p := m.begin()
			l, err := catalog.List(t.Context(), p.with([]catalog.Named{s.a}), "prod", s.trust)
			s.must(err)
			p.end()
			return len(l.Entries) == 1
		}
		if !whole() {
			t.Fatal("it is not there")
		}
		was, err := os.Stat(file)
		s.must(err)
		s.must(os.Chmod(file, 0o600))
		s.must(os.WriteFile(file, bytes.Repeat([]byte("x"), int(was.Size())), 0o600))
		s.must(os.Chtimes(file, was.ModTime(), was.ModTime()))
		time.Sleep(memoryLasts)
		if whole() {
			t.Error("what it was before is still told after a day")
		}
	})
}

func TestWhatFindsNoRoomIsFetchedEveryTime(t *testing.T) {
	t.Parallel()
	s := newShore(t, "")
	for i := range 10 {
		s.backup(i, int64(100+i), 50, nil, nil)
	}
	near := &fetched{Sink: s.a.Sink}
	m := &memory{left: &atomic.Int64{}}
	m.left.Store(5000) // bytes, which are some manifests
	var each []int64
	for range 3 {
		before, p := near.notes.Load(), m.begin()
		l, err := catalog.List(t.Context(), p.with([]catalog.Named{{Name: s.a.Name, Sink: near}}), "prod", catalog.Trust{})
		s.must(err)
		p.end()
		if len(l.Entries) != 10 {
			t.Errorf("%d backups are listed of 10", len(l.Entries))
		}
		each = append(each, near.notes.Load()-before)
	}
	if each[0] != 10 || each[1] == 0 || each[1] == 10 || each[2] != each[1] || m.left.Load() < 0 {
		t.Errorf("%v notes were fetched, and %d bytes are left", each, m.left.Load())
	}
}
