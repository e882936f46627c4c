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

// find turns what a person wrote (an id, its beginning, latest, before:TIME) into a backup, and says what was passed over.
func (b *bucket) find(ctx context.Context, g *global, selector string) (catalog.Entry, error) {
	l, err := b.list(ctx, g.streams)
	if err != nil {
		return catalog.Entry{}, err
	}
	return g.resolve(l, selector)
}

// resolve is find on a listing that was made already.
func (g *global) resolve(l catalog.Listing, selector string) (catalog.Entry, error) {
	e, skipped, err := l.Resolve(selector, g.now())
	for _, s := range skipped {
		told := func(p *catalog.Problem) bool { return p.ID == s.ID } // by list
		if !slices.ContainsFunc(l.Problems, told) {
			g.warnf("passed over %s: %s", s.ID, s.Reason)
		}
	}
	if errors.Is(err, catalog.ErrNotFound) {
		err = notFound{err}
	}
	return e, err
}
