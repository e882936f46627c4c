package prune

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/retention"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// A Result is what a run of prune did.
type Result struct {
	Removed []catalog.ID // gone from every sink that held them, oldest first
	Spared  []Spared     // planned, and left because something changed meanwhile
	Locked  []Trouble    // what an object lock keeps; time cures it
	Failed  []Trouble    // what could not be removed for another reason
	Orphans int          // objects of no backup that were removed
	Uploads int          // unfinished uploads that were given up
	Bytes   int64        // freed, of payloads and orphans in all sinks
}

// Trouble is a removal that a sink refused. ID or Sink may be empty where it concerns all.
type Trouble struct {
	Sink string
	ID   catalog.ID
	Err  error
}

// Spared is a backup that was to be removed and stays.
type Spared struct {
	ID     catalog.ID
	Reason string
}

// patience is how often in a row a change may make us look again without removing anything in between.
const patience = 5

// Apply removes what Look found, oldest first, one backup after the other. Before each it lists manifests and marks again: after any
// change by others everything is read and judged anew, and only what is to go by both judgments goes. The result tells what
// was done in every case, also beside an error.
func (p *Plan) Apply(ctx context.Context) (*Result, error) {
	a := &applying{plan: p, result: &Result{}, due: p.Removals(), ours: make(map[catalog.ID]bool), broken: make(map[string]bool)}
	if p.stock == nil {
		return a.result, nil
	}
	idle := 0
	for len(a.due) > 0 && len(a.broken) < len(p.o.Sinks) {
		changed, err := a.changed(ctx)
		switch {
		case err != nil:
			return a.result, a.stopped(ctx, err)
		case changed && idle == patience:
			a.spareAll("what is in the sinks keeps changing; prune again later")
		case changed:
			idle++
			if err := a.reconsider(ctx); err != nil {
				return a.result, a.stopped(ctx, err)
			}
		default:
			idle = 0
			a.remove(ctx, a.due[0])
			a.due = a.due[1:]
		}
		if ctx.Err() != nil {
			return a.result, context.Cause(ctx)
		}
	}
	a.collect(ctx)
	if ctx.Err() != nil {
		return a.result, context.Cause(ctx)
	}
	return a.result, nil
}

// applying is a run under way.
type applying struct {
	plan   *Plan // the newest
	result *Result
	due    []Line
	ours   map[catalog.ID]bool // what this run has begun to remove
	broken map[string]bool     // sinks that failed to remove something: one failure is enough to know
}

func (a *applying) stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("stopped after %d backups were removed: %w", len(a.result.Removed), err)
}

// changed reports whether anybody but this run made or removed a manifest or a mark since the plan was made.
func (a *applying) changed(ctx context.Context) (bool, error) {
	for _, k := range a.plan.stock.Sinks {
		names, err := catalog.Names(ctx, k.Sink, a.plan.Listing.Cluster)
		if err != nil {
			return false, err
		}
		if !maps.Equal(a.byOthers(k.Names), a.byOthers(names)) {
			return true, nil
		}
	}
	return false, nil
}

func (a *applying) byOthers(names map[string]bool) map[string]bool {
	names = maps.Clone(names)
	maps.DeleteFunc(names, func(key string, _ bool) bool {
		id, _ := catalog.Guards(a.plan.Listing.Cluster, key)
		return a.ours[id]
	})
	return names
}

// reconsider reads and judges anew, and leaves of what is due only what is still to go.
func (a *applying) reconsider(ctx context.Context) error {
	next, err := look(ctx, a.plan.o, a.due)
	if err != nil {
		return err
	}
	judged := make(map[catalog.ID]Line)
	for _, l := range next.Lines {
		judged[l.Entry.ID] = l
	}
	a.due = slices.DeleteFunc(a.due, func(l Line) bool {
		now, there := judged[l.Entry.ID]
		switch {
		case !there:
			a.spare(l, "somebody else removed it meanwhile, or it cannot be read any more")
		case now.Verdict == retention.Remove:
			return false
		default:
			a.spare(l, "since the plan was made: "+now.Reasons[0])
		}
		return true
	})
	a.plan = next
	for i, l := range a.due {
		a.due[i] = judged[l.Entry.ID] // it may be in other sinks now
	}
	return nil
}

func (a *applying) spare(l Line, reason string) {
	a.result.Spared = append(a.result.Spared, Spared{l.Entry.ID, reason})
	a.plan.o.Log.Info("backup spared", "cluster", l.Cluster, "id", string(l.Entry.ID), "reason", reason)
}

func (a *applying) spareAll(reason string) {
	for _, l := range a.due {
		a.spare(l, reason)
	}
	a.due = nil
}

// remove removes one backup from every sink that holds it. What one sink refuses is there still; the others are asked all the same,
// because each was judged to have no need of it.
func (a *applying) remove(ctx context.Context, l Line) {
	a.ours[l.Entry.ID] = true
	gone := true
	for _, k := range a.plan.stock.Sinks {
		if !slices.Contains(l.Sinks, k.Sink.Name) {
			continue
		}
		if a.broken[k.Sink.Name] {
			gone = false
			continue
		}
		err := catalog.Remove(ctx, k.Sink, l.Entry)
		var left *catalog.RemoveError
		switch {
		case err == nil:
			a.result.Bytes += l.Manifest.Sealed.Size
			a.plan.o.Log.Info("removed backup", "cluster", l.Cluster, "id", string(l.Entry.ID), "sink", k.Sink.Name, "bytes", l.Manifest.Sealed.Size)
			continue
		case errors.Is(err, sinks.ErrLocked):
			a.result.Locked = append(a.result.Locked, Trouble{k.Sink.Name, l.Entry.ID, err})
		default:
			a.fail(k.Sink.Name, l.Entry.ID, err)
		}
		gone = gone && errors.As(err, &left) && !left.Stays
	}
	if gone {
		a.result.Removed = append(a.result.Removed, l.Entry.ID)
	}
}

func (a *applying) fail(sink string, id catalog.ID, err error) {
	a.result.Failed = append(a.result.Failed, Trouble{sink, id, err})
	if sink != "" {
		a.broken[sink] = true
	}
}
