package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// OrphanAge is how old an object without a manifest must be before it is nobody's: until then it may be part of a backup or a copy
// that is under way, whose manifest comes last.
const OrphanAge = 24 * time.Hour

// An Orphan is an object that belongs to no backup in any sink: what an interrupted backup, copy or removal leaves.
type Orphan struct {
	ID ID
	sinks.Object
}

// deadline is before when an object must have been put to be old, in a sink. The store's clock decides, which is at least as late as its
// newest object; the host's can only make it earlier. So neither a host's clock that runs ahead nor a single object with a wrong time makes a running
// upload look old.
func (k *SinkStock) deadline(now time.Time) time.Time {
	if k.Newest.Before(now) {
		now = k.Newest
	}
	return now.Add(-OrphanAge)
}

// Orphans yields the orphans of the i-th sink, in no particular order. None are
//
//   - objects of a backup whose manifest is in any sink, readable or not, or hidden behind a delete marker;
//   - objects younger than OrphanAge by the clock of the store and by now, or by their id: copies bring times of their own;
//   - objects of a backup that somebody held: a person said so, whatever became of its manifest since;
//   - the newest comparison of the cluster's members, which is of the cluster rather than of the backup it is filed under;
//   - any at all where no sink has a single manifest, or where it cannot be told what is hidden: that they were lost is more likely;
//   - objects whose names no version of Lifeboat makes.
//
// After an error nothing more comes.
func (st *Stock) Orphans(ctx context.Context, i int, now time.Time) iter.Seq2[Orphan, error] {
	return func(yield func(Orphan, error) bool) {
		k := &st.Sinks[i]
		if st.Bare() || k.HiddenErr != nil {
			return
		}
		w := &orphanage{st: st, held: st.held(), before: k.deadline(now), yield: yield}
		// Marks come last, because a hold among them protects the rest.
		for _, kind := range []string{"snapshots", "keys", "reports", "marks"} {
			for o, err := range k.Sink.List(ctx, folder(st.Cluster, kind)) {
				if err != nil {
					yield(Orphan{}, fmt.Errorf("look for orphans: %w", err))
					return
				}
				if !w.look(kind, o) {
					return
				}
			}
		}
	}
}

// An orphanage sorts out the objects of one sink.
type orphanage struct {
	st     *Stock
	held   map[ID]bool
	before time.Time
	yield  func(Orphan, error) bool
	newest *Orphan // comparison of the members so far
}

// look yields the object if it is an orphan. It returns false when the caller has seen enough.
func (w *orphanage) look(kind string, o sinks.Object) bool {
	id, ours := ownerOf(o.Key, folder(w.st.Cluster, kind))
	if kind == "snapshots" {
		ours = ours && (o.Key == SealedKey(w.st.Cluster, id, true) || o.Key == SealedKey(w.st.Cluster, id, false))
	}
	if !ours {
		return true
	}
	found := &Orphan{id, o}
	if kind == "reports" && isCrossCheck(o.Key) {
		if w.newest != nil && path.Base(o.Key) < path.Base(w.newest.Key) {
			return w.judge(found)
		}
		found, w.newest = w.newest, found
	}
	return found == nil || w.judge(found)
}

func (w *orphanage) judge(o *Orphan) bool {
	if w.st.Anywhere(o.ID) || w.st.hidden(o.ID) || w.held[o.ID] || !o.ModTime.Before(w.before) || !o.ID.Time().Before(w.before) {
		return true
	}
	return w.yield(*o, nil)
}

func isCrossCheck(key string) bool {
	return strings.HasSuffix(key, "-"+string(ReportCrossCheck)+".note")
}

// Bare reports that no sink has a single manifest.
func (st *Stock) Bare() bool {
	return !slices.ContainsFunc(st.Sinks, func(k SinkStock) bool { return len(k.manifests) > 0 })
}

func (st *Stock) hidden(id ID) bool {
	return slices.ContainsFunc(st.Sinks, func(k SinkStock) bool { return k.Hidden[id] })
}

// held are the backups of which the last word in any sink was a hold. Names are enough: who forges one can only keep something.
func (st *Stock) held() map[ID]bool {
	last := make(map[ID]string)
	for key := range st.markKeys() {
		id, _, kind, err := parseMarkKey(st.Cluster, key)
		if err == nil && (kind == MarkHold || kind == MarkRelease) && key > last[id] {
			last[id] = key
		}
	}
	held := make(map[ID]bool)
	for id, key := range last {
		held[id] = strings.HasSuffix(key, "-"+string(MarkHold)+".note")
	}
	return held
}

// Uploads yields the uploads into the i-th sink that were begun longer ago than OrphanAge and never completed, where the sink can tell.
func (st *Stock) Uploads(ctx context.Context, i int, now time.Time) iter.Seq2[sinks.Upload, error] {
	return func(yield func(sinks.Upload, error) bool) {
		k := &st.Sinks[i]
		u, ok := k.Sink.Sink.(sinks.Unfinished)
		if !ok {
			return
		}
		before := k.deadline(now)
		for up, err := range u.Uploads(ctx, root+st.Cluster+"/") {
			if (err != nil || up.Started.Before(before)) && !yield(up, err) || err != nil {
				return
			}
		}
	}
}

// ErrNoOrphan: the manifest of what was taken for an orphan has come meanwhile.
var ErrNoOrphan = errors.New("no orphan")

// RemoveOrphan removes one, unless its manifest has come meanwhile: then it is ErrNoOrphan.
func (st *Stock) RemoveOrphan(ctx context.Context, i int, o Orphan) error {
	s := st.Sinks[i].Sink
	r, err := s.Open(ctx, ManifestKey(st.Cluster, o.ID), 0)
	if err == nil {
		_ = r.Close() // nothing was read
		return fmt.Errorf("%s: its manifest is there now: %w", o.Key, ErrNoOrphan)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.Delete(ctx, o.Key)
}
