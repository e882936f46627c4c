package catalog

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// A Stock is what each of several sinks holds of one cluster, by the names alone: what a removal stands on beside a Listing. What
// it takes in memory grows with the backups, not with what else lies there.
type Stock struct {
	Cluster string
	Sinks   []SinkStock // in the order given
}

// SinkStock is what one sink holds.
type SinkStock struct {
	Sink Named
	// Names are the keys of manifests and marks. While none comes or goes, nothing was decided anew.
	Names map[string]bool
	// Sizes are those of the payloads whose manifest is here, in bytes, by their keys.
	Sizes map[string]int64
	// Newest is when the newest object was put by the store's clock, which is at least that late. Zero if there is none.
	Newest time.Time
	// Hidden are the backups whose manifest is behind a delete marker: not removed by us, who remove what is behind, too.
	Hidden map[ID]bool
	// HiddenErr is why that could not be found out.
	HiddenErr error

	manifests   map[ID]bool     // also of those that cannot be read
	hiddenMarks map[string]bool // keys of the marks behind a delete marker
}

// TakeStock lists every sink. One that cannot be listed is an error: what it holds is not to be guessed.
func TakeStock(ctx context.Context, ss []Named, cluster string) (*Stock, error) {
	st := &Stock{cluster, make([]SinkStock, len(ss))}
	g, ctx := errgroup.WithContext(ctx)
	for i := range ss {
		st.Sinks[i] = SinkStock{Sink: ss[i], Sizes: make(map[string]int64), Hidden: make(map[ID]bool), manifests: make(map[ID]bool), hiddenMarks: make(map[string]bool)}
		g.Go(func() error { return st.Sinks[i].fill(ctx, cluster) })
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("take stock: %w", err)
	}
	return st, nil
}

func (k *SinkStock) fill(ctx context.Context, cluster string) (err error) {
	if k.Names, err = Names(ctx, k.Sink, cluster); err != nil {
		return err
	}
	seen := func(o sinks.Object) {
		if o.ModTime.After(k.Newest) {
			k.Newest = o.ModTime
		}
	}
	for o, err := range k.Sink.List(ctx, manifests(cluster)) {
		if err != nil {
			return err
		}
		seen(o)
		if id, ok := ownerOf(o.Key, manifests(cluster)); ok {
			k.manifests[id] = true
		}
	}
	for o, err := range k.Sink.List(ctx, payloads(cluster)) {
		if err != nil {
			return err
		}
		seen(o)
		if id, ok := ownerOf(o.Key, payloads(cluster)); ok && k.manifests[id] {
			k.Sizes[o.Key] = o.Size
		}
	}
	v, ok := k.Sink.Sink.(sinks.Versioned)
	if !ok {
		return nil
	}
	for o, err := range v.Hidden(ctx, manifests(cluster)) {
		if err != nil {
			k.HiddenErr = err
			return ctx.Err()
		}
		if id, ok := ownerOf(o.Key, manifests(cluster)); ok {
			k.Hidden[id] = true
		}
	}
	for o, err := range v.Hidden(ctx, marks(cluster)) {
		if err != nil {
			k.HiddenErr = err
			return ctx.Err()
		}
		k.hiddenMarks[o.Key] = true
	}
	return nil
}

// Names lists the keys of a sink's manifests and marks.
func Names(ctx context.Context, s Named, cluster string) (map[string]bool, error) {
	names := make(map[string]bool)
	for _, prefix := range []string{manifests(cluster), marks(cluster)} {
		for o, err := range s.List(ctx, prefix) {
			if err != nil {
				return nil, err
			}
			names[o.Key] = true
		}
	}
	return names, nil
}

// Holds returns the key of the newest hold of each backup by the names alone, also of marks that cannot be read, that nobody vouches for or that
// are behind a delete marker. Who forges one can only keep something; what an authentic release, Entry.Released, is newer than is over.
func (st *Stock) Holds() map[ID]string {
	last := make(map[ID]string)
	for key := range st.markKeys() {
		if id, _, kind, err := parseMarkKey(st.Cluster, key); err == nil && kind == MarkHold && key > last[id] {
			last[id] = key
		}
	}
	return last
}

// markKeys are the keys of marks in any sink, hidden ones too.
func (st *Stock) markKeys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, k := range st.Sinks {
			for key := range k.Names {
				if strings.HasPrefix(key, marks(st.Cluster)) && !yield(key) {
					return
				}
			}
			for key := range k.hiddenMarks {
				if !yield(key) {
					return
				}
			}
		}
	}
}

// Guards returns the backup of whose manifest or marks the key is one: what decides whether it may be removed.
func Guards(cluster, key string) (ID, bool) {
	for _, in := range []string{manifests(cluster), marks(cluster)} {
		if strings.HasPrefix(key, in) {
			return ownerOf(key, in)
		}
	}
	return "", false
}

// ownerOf takes the id from the beginning of a name, whatever stands behind it.
func ownerOf(key, in string) (ID, bool) {
	name, _, _ := strings.Cut(strings.TrimPrefix(key, in), "/")
	name, _, _ = strings.Cut(name, ".")
	id, err := ParseID(name)
	return id, err == nil
}

// Anywhere reports whether any sink has a manifest of the backup, readable or not.
func (st *Stock) Anywhere(id ID) bool {
	for _, k := range st.Sinks {
		if k.manifests[id] {
			return true
		}
	}
	return false
}

// Whole reports whether a sink holds the backup's manifest and a payload of the right size.
func (st *Stock) Whole(e Entry) bool {
	for _, k := range st.Sinks {
		if size, ok := k.Sizes[e.Manifest.Sealed.Key]; ok && size == e.Manifest.Sealed.Size {
			return true
		}
	}
	return false
}

// Lacking are the copies whose payload is missing or of the wrong size.
func (st *Stock) Lacking(e Entry) (all []Fault) {
	for _, k := range st.Sinks {
		size, ok := k.Sizes[e.Manifest.Sealed.Key]
		if slices.Contains(e.Sinks, k.Sink.Name) {
			all = append(all, lacking(e, k.Sink.Name, size, ok)...)
		}
	}
	return all
}

// Clock is how late it is at least by the sinks' own clocks; zero if they hold nothing.
func (st *Stock) Clock() (latest time.Time) {
	for _, k := range st.Sinks {
		if k.Newest.After(latest) {
			latest = k.Newest
		}
	}
	return latest
}

// folder is where one kind of a cluster's objects lies.
func folder(cluster, kind string) string { return root + cluster + "/" + kind + "/" }

func payloads(cluster string) string { return folder(cluster, "snapshots") }
