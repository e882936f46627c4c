package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// A delete marker in a versioned bucket takes a backup from every listing and leaves all of it where it was. What is hidden like that is
// told, and a person who names it gets it; it is never chosen by itself, because somebody may have meant to remove it.

// tellVeiled warns of hidden backups, a line for each sink.
func (g *global) tellVeiled(all []catalog.Veiled) {
	for i := 0; i < len(all); {
		first := i
		for i < len(all) && all[i].Sink.Name == all[first].Sink.Name {
			i++
		}
		g.warnf("%d backups are hidden behind delete markers in %s, which Lifeboat never makes; the newest is %s: restore it by this id, "+
			"or remove the markers to have them back", i-first, all[first].Sink.Name, all[i-1].ID)
	}
}

// unveiled is what a search came to, once it is known whether what was not found is hidden.
func (b *bucket) unveiled(ctx context.Context, g *global, selector string, e catalog.Entry, err error) (catalog.Entry, error) {
	if !errors.Is(err, catalog.ErrNotFound) {
		return e, err
	}
	all := catalog.Hidden(ctx, b.sinks, b.cluster)
	for _, v := range all {
		if string(v.ID) != selector {
			continue
		}
		hidden, err := catalog.Unveil(ctx, v, b.trust)
		if err == nil {
			g.warnf("%s is hidden behind a delete marker in %s; what is behind it is used", v.ID, v.Sink.Name)
		}
		return hidden, err
	}
	if len(all) > 0 {
		err = fmt.Errorf("%w; but %d are hidden behind delete markers, the newest is %s: name it by this id to have it", err, len(all), all[len(all)-1].ID)
	}
	return e, err
}
