package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// In a versioned bucket, what somebody overwrites or hides is still there. Lifeboat does neither, so it looks there only where what it
// finds cannot be right; and what it then takes, it tells as a Problem beside it.

// older shows a sink as it was at each older version of a key that fits, newest first, under a name that tells so. What cannot be
// asked counts as not there: it is a last resort.
func older(ctx context.Context, s Named, key string, fits func(sinks.Version) bool) (all []Named) {
	versioned, ok := s.Sink.(sinks.Versioned)
	if !ok {
		return nil
	}
	versions, err := versioned.Versions(ctx, key)
	if err != nil {
		return nil
	}
	for _, v := range versions {
		if fits(v) {
			name := fmt.Sprintf("%s (version %s of %s)", s.Name, v.ID, v.ModTime.UTC().Format(time.RFC3339))
			all = append(all, Named{name, sinks.AtVersion(s.Sink, versioned, key, v.ID)})
		}
	}
	return all
}

// OlderPayloads shows a sink as it was at each older version of a backup's payload whose size is right, newest first. What it holds
// is not looked at.
func OlderPayloads(ctx context.Context, s Named, m Manifest) []Named {
	return older(ctx, s, m.Sealed.Key, func(v sinks.Version) bool { return v.Size == m.Sealed.Size })
}

// WholeVersion reads the older versions of a backup's payload until one is whole, and returns the sink as it was then.
func WholeVersion(ctx context.Context, s Named, m Manifest) (Named, bool) {
	for _, at := range OlderPayloads(ctx, s, m) {
		if fetchPayload(ctx, at, m, io.Discard, nil) == nil {
			return at, true
		}
	}
	return Named{}, false
}

// found is a manifest as it was read, from an older version if need be.
type found struct {
	key   string
	entry Entry
	err   error // why there is no entry
	wrong error // what is wrong with the one that everybody sees, where an older one was taken
}

// readOverwritten looks at what was read of one sink. A manifest that is damaged or not authentic may have been overwritten: then the
// newest older version that is neither counts.
func readOverwritten(ctx context.Context, s Named, cluster string, read []found, t Trust) {
	var g errgroup.Group
	g.SetLimit(fetches)
	for i := range read {
		if err := read[i].err; errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotAuthentic) {
			g.Go(func() error {
				read[i] = readOlder(ctx, s, cluster, read[i], t)
				return nil // kept in its place
			})
		}
	}
	_ = g.Wait() // always nil, see above
}

func readOlder(ctx context.Context, s Named, cluster string, f found, t Trust) found {
	for _, at := range older(ctx, s, f.key, func(v sinks.Version) bool { return v.Size <= maxNote }) {
		data, err := getNote(ctx, at, f.key)
		if err != nil {
			continue
		}
		if e, err := readEntry(cluster, fetched{key: f.key, data: data}, t); err == nil {
			wrong := sinks.Because(fmt.Sprintf("%v; somebody has overwritten it, and what it was before counts: %s", f.err, at.Name), ErrOverwritten, f.err)
			return found{key: f.key, entry: e, wrong: wrong}
		}
	}
	return f
}

// A Veiled backup is one whose manifest is behind a delete marker in a versioned bucket. Lifeboat never makes those: it removes
// versions. A person with another tool does, or a rule of the bucket's lifecycle, or somebody who means harm.
type Veiled struct {
	ID      ID
	Cluster string
	Sink    Named
}

// Hidden names the backups of a cluster, or of all if none is named, that a listing does not show because of delete markers, by sink
// and id. Sinks that cannot tell are left out.
func Hidden(ctx context.Context, ss []Named, cluster string) (all []Veiled) {
	prefix := root
	if cluster != "" {
		prefix = manifests(cluster)
	}
	for _, s := range ss {
		versioned, ok := s.Sink.(sinks.Versioned)
		if !ok {
			continue
		}
		first := len(all)
		for o, err := range versioned.Hidden(ctx, prefix) {
			if err != nil {
				break
			}
			name, _, _ := strings.Cut(strings.TrimPrefix(o.Key, root), "/")
			if id, err := parseManifestKey(name, o.Key); err == nil {
				all = append(all, Veiled{id, name, s})
			}
		}
		slices.SortFunc(all[first:], func(a, b Veiled) int { return compareIDs(a.ID, b.ID) })
	}
	return all
}

// Unveil reads the manifest of a hidden backup: the newest version that is whole and authentic.
func Unveil(ctx context.Context, v Veiled, t Trust) (Entry, error) {
	f := found{
		key: ManifestKey(v.Cluster, v.ID),
		err: fmt.Errorf("%w: %s is hidden in %s, and no version behind the delete marker can be read and trusted", ErrNotFound, v.ID, v.Sink.Name),
	}
	if f = readOlder(ctx, v.Sink, v.Cluster, f, t); f.err != nil {
		return Entry{}, f.err
	}
	f.entry.Sinks = []string{v.Sink.Name}
	f.entry.setDoubts(f.entry.Suspect.Doubts())
	f.entry.Sig.By = orEmpty(f.entry.Sig.By)
	return f.entry, nil
}
