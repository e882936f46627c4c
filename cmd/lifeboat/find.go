package main

import (
	"context"
	"errors"
	"slices"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// notFound adds to a missing backup where to look for another.
type notFound struct{ error }

func (e notFound) Unwrap() error { return e.error }
func (e notFound) Hint() string {
	return "`lifeboat list` with the same --sink shows every backup there is"
}

// find turns what a person wrote (an id, its beginning, latest, latest-verified, before:TIME) into a backup, and says what was passed over.
func (b *bucket) find(ctx context.Context, g *global, selector string) (catalog.Entry, error) {
	l, err := b.list(ctx, g.streams)
	if err != nil {
		return catalog.Entry{}, err
	}
	e, err := g.resolve(l, selector)
	return b.unveiled(ctx, g, selector, e, err)
}

// resolve is find on a listing that was made already.
func (g *global) resolve(l catalog.Listing, selector string) (catalog.Entry, error) {
	e, skipped, err := l.Resolve(selector, g.now())
	skipped = slices.DeleteFunc(skipped, func(s catalog.Skip) bool {
		return slices.ContainsFunc(l.Problems, func(p *catalog.Problem) bool { return p.Error() == s.Reason }) // told by list
	})
	for len(skipped) > 0 {
		n := alike(skipped)
		if n > 2 {
			g.warnf("passed over %d backups from %s to %s: %s", n, skipped[0].ID, skipped[n-1].ID, skipped[0].Reason)
		} else {
			n = 1
			g.warnf("passed over %s: %s", skipped[0].ID, skipped[0].Reason)
		}
		skipped = skipped[n:]
	}
	if errors.Is(err, catalog.ErrNotFound) {
		err = notFound{err}
	}
	return e, err
}

// alike counts how many begin with the same reason: a day has a hundred backups that were not rehearsed.
func alike(skipped []catalog.Skip) int {
	n := 1
	for n < len(skipped) && skipped[n].Reason == skipped[0].Reason {
		n++
	}
	return n
}
