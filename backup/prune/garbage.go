package prune

import (
	"context"
	"errors"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// lookForGarbage counts what belongs to no backup, by the names alone.
func (p *Plan) lookForGarbage(ctx context.Context) error {
	for i := range p.stock.Sinks {
		g := Garbage{Sink: p.stock.Sinks[i].Sink.Name}
		for o, err := range p.stock.Orphans(ctx, i, p.now) {
			if err != nil {
				return unreadable(err)
			}
			g.Objects, g.Bytes = g.Objects+1, g.Bytes+o.Size
			g.name(o.Key)
		}
		for u, err := range p.stock.Uploads(ctx, i, p.now) {
			if err != nil {
				p.cannotListUploads(g.Sink, err)
				break
			}
			g.Uploads++
			g.name(u.Key)
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if g.Objects+g.Uploads > 0 {
			p.Garbage = append(p.Garbage, g)
		}
	}
	return nil
}

// cannotListUploads is only a warning: they take room, and nothing else depends on them.
func (p *Plan) cannotListUploads(sink string, err error) {
	p.warnf("unfinished uploads in %s are left, because they cannot be listed: %v", sink, err)
}

func (g *Garbage) name(key string) {
	if len(g.Names) < Shown {
		g.Names = append(g.Names, key)
	}
}

// collect removes the garbage of every sink that has not failed yet.
func (a *applying) collect(ctx context.Context) {
	stock, err := catalog.TakeStock(ctx, a.plan.o.Sinks, a.plan.Listing.Cluster)
	if err != nil {
		a.fail("", "", unreadable(err))
		return
	}
	for i, k := range stock.Sinks {
		if a.broken[k.Sink.Name] {
			continue
		}
		for o, err := range stock.Orphans(ctx, i, a.plan.now) {
			if err == nil {
				err = a.removeOrphan(ctx, stock, i, o)
			}
			if err != nil {
				a.fail(k.Sink.Name, o.ID, err)
				break
			}
		}
		a.giveUpUploads(ctx, stock, i)
	}
}

// removeOrphan returns no error for what a lock keeps, or what is no orphan any more.
func (a *applying) removeOrphan(ctx context.Context, stock *catalog.Stock, i int, o catalog.Orphan) error {
	name := stock.Sinks[i].Sink.Name
	err := stock.RemoveOrphan(ctx, i, o)
	switch {
	case errors.Is(err, sinks.ErrLocked):
		a.result.Locked = append(a.result.Locked, Trouble{name, o.ID, err})
		return nil
	case errors.Is(err, catalog.ErrNoOrphan): // and not any fs.ErrExist, which a store may answer to anything
		return nil
	case err != nil:
		return err
	}
	a.result.Orphans++
	a.result.Bytes += o.Size
	a.plan.o.Log.Info("removed orphan", "key", o.Key, "sink", name, "bytes", o.Size)
	return nil
}

func (a *applying) giveUpUploads(ctx context.Context, stock *catalog.Stock, i int) {
	s := stock.Sinks[i].Sink
	for u, err := range stock.Uploads(ctx, i, a.plan.now) {
		if err == nil {
			err = s.Sink.(sinks.Unfinished).Abort(ctx, u)
		}
		if err != nil {
			a.plan.o.Log.Warn("unfinished upload left", "key", u.Key, "sink", s.Name, "err", err)
			return // they take room, and nothing else depends on them
		}
		a.result.Uploads++
		a.plan.o.Log.Info("gave up unfinished upload", "key", u.Key, "sink", s.Name)
	}
}
