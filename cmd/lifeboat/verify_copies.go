package main

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/restore"
)

// verification is one run over some backups.
type verification struct {
	flags   *verifyFlags
	g       *global
	b       *bucket
	reports *reporter
	unread  map[string]error // sinks that could not be listed: what they hold is unknown
	// unusable are the copies whose manifest is there and cannot be used, so that nobody takes them for absent.
	unusable map[heldBy]error
	done     atomic.Int64 // bytes
	total    int64
}

// heldBy is a backup in one sink.
type heldBy struct {
	id   catalog.ID
	sink string
}

// heed remembers what could not be listed or read.
func (v *verification) heed(l catalog.Listing) {
	for _, p := range l.Problems {
		switch {
		case p.Key == "":
			v.unread[p.Sink] = p
		case p.ID != "" && p.Key == catalog.ManifestKey(l.Cluster, p.ID) && !v.flags.all: // with --all choose tells of them
			v.unusable[heldBy{p.ID, p.Sink}] = p
		}
	}
}

// all reads every copy of every backup, several backups at once where that takes no disk. A copy that fails stops nothing.
func (v *verification) all(ctx context.Context, chosen []catalog.Entry) ([]verifiedJSON, error) {
	for _, e := range chosen {
		v.total += e.Manifest.Sealed.Size * int64(len(e.Sinks))
	}
	bar := newProgress(v.g.err)
	defer bar.done()
	perBackup := make([][]verifiedJSON, len(chosen))
	var g errgroup.Group
	g.SetLimit(verifyAtOnce)
	if v.flags.deep {
		g.SetLimit(1)
	}
	for i, e := range chosen {
		g.Go(func() error {
			if ctx.Err() == nil {
				perBackup[i] = v.backup(ctx, e, bar)
			}
			return nil // kept in its place
		})
	}
	_ = g.Wait() // always nil, see above
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return slices.Concat(perBackup...), nil
}

// backup reads every copy of one backup and leaves a report.
func (v *verification) backup(ctx context.Context, e catalog.Entry, bar *progress) (results []verifiedJSON) {
	began := time.Now()
	for _, sink := range v.b.sinks {
		switch {
		case v.unread[sink.Name] != nil:
		case !slices.Contains(e.Sinks, sink.Name):
			r := verifiedJSON{ID: e.ID, Sink: sink.Name, Absent: true}
			if err := v.unusable[heldBy{e.ID, sink.Name}]; err != nil {
				r.Absent, r.Error, r.err = false, oneLine(err.Error()), err
			}
			results = append(results, r)
		default:
			results = append(results, v.copy(ctx, e, sink, bar))
		}
	}
	if r, ok := reportOf(results, v.flags.deep); ok {
		r.TookSeconds = time.Since(began).Seconds()
		v.reports.write(ctx, e, r)
	}
	return results
}

// copy checks one copy.
func (v *verification) copy(ctx context.Context, e catalog.Entry, sink catalog.Named, bar *progress) verifiedJSON {
	r := verifiedJSON{ID: e.ID, Sink: sink.Name, Deep: v.flags.deep}
	if v.flags.deep {
		r.OpenedWith, r.err = v.flags.lookInside(ctx, v.g, e, sink, bar)
	} else {
		var before int64
		r.err = catalog.VerifyDigest(ctx, sink, e.Manifest, func(done, _ int64) {
			bar.at("verify", v.done.Add(done-before), v.total)
			before = done
		})
	}
	if r.OK = r.err == nil; !r.OK {
		r.Error = oneLine(r.err.Error())
	}
	return r
}

// lookInside opens one copy and compares what is in it with the manifest.
func (f *verifyFlags) lookInside(ctx context.Context, g *global, e catalog.Entry, sink catalog.Named, bar *progress) (openedWith string, err error) {
	ids, err := f.keys(ctx, g.streams)
	if err != nil {
		return "", err
	}
	if f.reserve != nil {
		release, err := f.reserve(ctx, e.Manifest.Plain.Size+e.Manifest.Sealed.Size)
		if err != nil {
			return "", err
		}
		defer release()
	}
	return restore.Verify(ctx, e, sink, f.spoolDir, restore.Deps{
		Identities: ids, Progress: func(s restore.Step, done, total int64) { bar.at(string(s), done, total) },
	})
}
