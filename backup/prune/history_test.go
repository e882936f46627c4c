package prune

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/retention"
)

const historySeed = 20261121

// TestNoHistoryLosesItsLastGoodBackups lets random things happen to clusters and their backups, links what is written as a run does, prunes
// again and again by random policies, and compares every removal with what really happened. 100,000 histories with LIFEBOAT_TEST_LONG=1,
// 10,000 otherwise; LIFEBOAT_HISTORY=N plays the one of that number again.
func TestNoHistoryLosesItsLastGoodBackups(t *testing.T) {
	t.Parallel()
	if only, err := strconv.ParseUint(os.Getenv("LIFEBOAT_HISTORY"), 10, 64); err == nil {
		w, _, err := play(only, true)
		t.Fatalf("%s\n%v", strings.Join(w.story, "\n"), err)
	}
	histories := uint64(10_000)
	if lab.Long() {
		histories = 100_000
	}
	var (
		next  atomic.Uint64
		total count
		mu    sync.Mutex
		all   sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for !t.Failed() {
				n := next.Add(1) - 1
				if n >= histories {
					return
				}
				_, c, err := play(n, false)
				if err != nil {
					w, _, err := play(n, true)
					t.Errorf("history %d: %v\n%s", n, err, strings.Join(w.story, "\n"))
				}
				mu.Lock()
				total.add(c)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	// What never happens proves nothing.
	if total.removed < histories || total.frozen < histories/10 || total.floor < histories/10 || total.decided < histories/20 || total.limited < histories/10 {
		t.Errorf("too little happened: %+v", total)
	}
	lab.Report(t, "%d histories, %d backups, %d prunes: %d backups removed, %d lineages kept because they were frozen, %d backups removed that were until a newer was accepted, %d lineages at their floor, %d runs at their limit",
		histories, total.backups, total.prunes, total.removed, total.frozen, total.decided, total.floor, total.limited)
}

// count is what happened.
type count struct{ backups, prunes, removed, frozen, decided, floor, limited uint64 }

func (c *count) add(d count) {
	c.backups += d.backups
	c.prunes += d.prunes
	c.removed += d.removed
	c.frozen += d.frozen
	c.decided += d.decided
	c.floor += d.floor
	c.limited += d.limited
}

func play(n uint64, telling bool) (w *world, c count, err error) {
	w = newWorld(historySeed, n)
	w.telling = telling
	w.backup()
	for range 6 + w.IntN(30) {
		if w.live(); w.chance(35) {
			if err := w.prune(&c); err != nil {
				return w, c, err
			}
		}
	}
	c.backups = uint64(w.made)
	return w, c, w.wrong
}

func (w *world) policy() retention.Policy {
	maybe := func(n int) int {
		if w.chance(60) {
			return 0
		}
		return w.IntN(n)
	}
	p := retention.Policy{
		Last: maybe(12), Hourly: maybe(12), Daily: maybe(7), Weekly: maybe(5), Monthly: maybe(5), Yearly: maybe(4),
		Floor: w.IntN(6), All: w.chance(40),
	}
	if w.chance(30) {
		p.Within = w.between(time.Hour, 60*24*time.Hour)
	}
	if p.Empty() {
		p.Last = 1
	}
	return p
}

// prune plans and removes as the command does, perhaps on a host with a wrong clock, and perhaps not to the end.
func (w *world) prune(c *count) error {
	p := &Plan{Listing: w.listing(), now: w.now.Add(w.skew), stock: &catalog.Stock{Cluster: "prod"}}
	if w.chance(20) {
		p.now = w.now.Add(w.between(-400*24*time.Hour, 400*24*time.Hour))
	}
	sizes := make(map[string]int64)
	for _, e := range w.entries {
		if !w.lost[e.ID] {
			sizes[e.Manifest.Sealed.Key] = 1000
		}
	}
	p.stock.Sinks = []catalog.SinkStock{{Sizes: sizes}}
	p.o.Policy = w.policy()
	w.tell("prune at %s by %+v", p.now, p.o.Policy)
	p.decide()
	if err := p.check(); err != nil {
		return err
	}
	gone := make(map[catalog.ID]bool)
	removals := p.Removals()
	for i, l := range removals {
		if w.chance(2) {
			w.tell("interrupted after %d of %d", i, len(removals))
			break
		}
		gone[l.Entry.ID] = true
		w.tell("removed %s", l.Entry.ID)
	}
	c.prunes++
	c.removed += uint64(len(gone))
	if len(gone) == 0 {
		return w.freezeHolds(p.Listing, gone, c) // counts
	}
	return w.judge(p, gone, c)
}

// judge holds what is gone to the promises, by what really happened, and makes it so.
func (w *world) judge(p *Plan, gone map[catalog.ID]bool, c *count) error {
	before := p.Listing
	if most := max(1, len(before.Entries)/5); len(gone) > most && !p.o.Policy.All {
		return fmt.Errorf("%d of %d backups are gone", len(gone), len(before.Entries))
	} else if len(gone) == most && !p.o.Policy.All {
		c.limited++
	}
	if err := w.floorHolds(p, gone, c); err != nil {
		return err
	}
	if err := w.freezeHolds(before, gone, c); err != nil {
		return err
	}
	newest := make(map[catalog.Lineage]catalog.Entry)
	var left []catalog.Entry
	for _, e := range w.entries {
		newest[e.Lineage] = e // they are in order
		if !gone[e.ID] {
			left = append(left, e)
		} else if e.Held {
			return fmt.Errorf("%s is held and gone", e.ID)
		}
	}
	for _, e := range newest {
		if gone[e.ID] {
			return fmt.Errorf("%s is the newest of its lineage and gone", e.ID)
		}
	}
	w.entries = left
	was, _, wasErr := before.Resolve("latest", w.now)
	is, _, isErr := w.listing().Resolve("latest", w.now)
	if was.ID != is.ID || (wasErr == nil) != (isErr == nil) {
		return fmt.Errorf("latest was %q and is %q (%v)", was.ID, is.ID, isErr)
	}
	return nil
}

// floorHolds counts what could be restored of each lineage, before and after.
func (w *world) floorHolds(p *Plan, gone map[catalog.ID]bool, c *count) error {
	type counts struct{ before, after int }
	good := make(map[catalog.Lineage]*counts)
	for _, e := range w.entries {
		n := good[e.Lineage]
		if n == nil {
			n = &counts{}
			good[e.Lineage] = n
		}
		if last, ok := e.Last(catalog.ReportVerify); w.lost[e.ID] || ok && !last.OK {
			continue
		}
		n.before++
		if !gone[e.ID] {
			n.after++
		}
	}
	floor := max(1, p.o.Policy.Floor)
	for lineage, n := range good {
		if n.after < min(n.before, floor) {
			return fmt.Errorf("of %d restorable backups of %s %d are left, and the floor is %d", n.before, lineage.First, n.after, floor)
		}
		if n.before > floor && n.after == floor {
			c.floor++
		}
	}
	return nil
}

// freezeHolds lets nothing go of a lineage beside a suspect one that really began later, unless a person has accepted one that really
// began later still.
func (w *world) freezeHolds(before catalog.Listing, gone map[catalog.ID]bool, c *count) error {
	suspect, approved := -1, -1
	for _, e := range before.Entries {
		if len(e.Doubts) > 0 {
			suspect = max(suspect, w.born[e.Lineage])
		} else if w.approved[e.Lineage] {
			approved = max(approved, w.born[e.Lineage])
		}
	}
	if approved > suspect { // every suspect one is decided on, with this one
		for _, e := range before.Entries {
			if gone[e.ID] && w.born[e.Lineage] < suspect {
				c.decided++
			}
		}
		return nil
	}
	frozen := make(map[catalog.Lineage]bool)
	for _, e := range before.Entries {
		if w.born[e.Lineage] >= suspect {
			continue
		}
		frozen[e.Lineage] = true
		if gone[e.ID] {
			return fmt.Errorf("%s is gone, of the lineage of %s, while a later one is suspect", e.ID, e.Lineage.First)
		}
	}
	c.frozen += uint64(len(frozen))
	return nil
}
