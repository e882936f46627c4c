package prune

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/retention"
)

// backups says of every entry what the policy needs to know.
func (p *Plan) backups() []retention.Backup {
	problems := make(map[catalog.ID]*catalog.Problem)
	for _, problem := range p.Listing.Problems {
		// A bad report proves nothing, and that is all. A mark may have been a hold, whatever kind of mark a newer version makes.
		if id, ok := catalog.Guards(p.Listing.Cluster, problem.Key); ok {
			problems[id] = problem
		}
	}
	holds := p.stock.Holds()
	all := make([]retention.Backup, len(p.Listing.Entries))
	for i, e := range p.Listing.Entries {
		e.Lacking = p.stock.Lacking(e)
		all[i] = Describe(e)
		switch problem := problems[e.ID]; {
		case problem != nil && errors.Is(problem, catalog.ErrNotAuthentic):
			all[i].Excluded = fmt.Sprintf("something beside it is not authentic: %v", problem)
		case problem != nil:
			all[i].Excluded = fmt.Sprintf("something beside it cannot be read: %v", problem)
		case e.Dispute() != nil:
			all[i].Excluded = e.Dispute().Error()
		case p.o.Trust.Verifiers != nil && !e.Sig.Trusted:
			all[i].Excluded = "not signed by a trusted key, so neither counted nor removed"
		}
		if hold := holds[e.ID]; hold > e.Released && !e.Held {
			p.warnf("backup %s is kept: a hold lies beside it that cannot be read or trusted (%s); `lifeboat release` ends that", e.ID, hold)
			if all[i].Excluded == "" {
				all[i].Excluded = "a hold lies beside it that cannot be read or trusted"
			}
		}
		if !p.stock.Whole(e) {
			all[i].Broken = "in no sink there is a payload of the right size"
		}
	}
	p.heedUnseen(all)
	return all
}

// heedUnseen keeps every lineage whose newest backup is older than one that cannot be used or is hidden: that one may be suspect, of a
// cluster that was wiped, and then what was before it is all there is. Whoever can write to a sink can block pruning so, which is loud;
// the other way round they could have good backups removed.
func (p *Plan) heedUnseen(all []retention.Backup) {
	id, why := p.unseen()
	if id == "" {
		return
	}
	newest := make(map[string]time.Time)
	for _, b := range all {
		if b.Time.After(newest[b.Lineage]) {
			newest[b.Lineage] = b.Time
		}
	}
	for i, b := range all {
		if id.Time().After(newest[b.Lineage]) && b.Excluded == "" {
			all[i].Excluded = fmt.Sprintf("%s is newer and %s: it may be of a wiped cluster, beside which nothing older is removed", id, why)
		}
	}
}

// unseen is the newest backup of which there is a manifest, but none to go by; and why.
func (p *Plan) unseen() (newest catalog.ID, why string) {
	listed := make(map[catalog.ID]bool)
	for _, e := range p.Listing.Entries {
		listed[e.ID] = true
	}
	heed := func(id catalog.ID, because string) {
		if !listed[id] && (newest == "" || id.Time().After(newest.Time())) {
			newest, why = id, because
		}
	}
	for _, problem := range p.Listing.Problems {
		// Unsigned ones count for nothing where keys are trusted, on purpose: anybody could write thousands.
		if problem.ID != "" && !catalog.Unsigned(problem) && problem.Key == catalog.ManifestKey(p.Listing.Cluster, problem.ID) {
			heed(problem.ID, "cannot be used")
		}
	}
	for _, k := range p.stock.Sinks {
		for id := range k.Hidden {
			heed(id, "is hidden behind a delete marker")
		}
	}
	return newest, why
}

// leaveSome keeps the newest whole copy of every sink that would have none left: it has missed those that are kept, or lost them, and until it gets
// them it is better off with an old one than with nothing.
func (p *Plan) leaveSome() {
	for _, k := range p.stock.Sinks {
		newest, stays := -1, false
		for i, l := range p.Lines {
			if p.whole(l, k.Sink.Name) {
				newest, stays = i, stays || l.Verdict != retention.Remove
			}
		}
		if stays || newest < 0 {
			continue
		}
		reason := fmt.Sprintf("%s would have no whole backup left: it lacks those that are kept", k.Sink.Name)
		p.Lines[newest].Decision = retention.Decision{ID: p.Lines[newest].Decision.ID, Verdict: retention.Keep, Reasons: []string{reason}}
		p.warnf("%s; %s stays until it has newer ones: `lifeboat copy` brings them", reason, p.Lines[newest].Entry.ID)
	}
}

// whole reports whether, as far as is known, a backup could be restored from one sink alone.
func (p *Plan) whole(l Line, sink string) bool {
	e := l.Entry
	e.Lacking = p.stock.Lacking(e)
	return slices.Contains(e.Sinks, sink) && e.Broken() == "" && !slices.ContainsFunc(e.Faults(), func(f catalog.Fault) bool { return f.Sink == sink })
}

// Describe is what the manifest, the marks and the reports of a backup say, as a policy of retention needs it.
func Describe(e catalog.Entry) retention.Backup {
	_, proven := e.Proven()
	return retention.Backup{
		// The id's time, so that the order is that of every list.
		ID: string(e.ID), Time: e.ID.Time(), Revision: e.Revision, Sequence: e.Sequence,
		Lineage: string(e.Lineage.First), Begun: e.Lineage.First.Time(),
		Accepted: len(e.Doubts) == 0, Witness: e.Accepts(),
		Held: e.Held, Proven: proven, ReadBack: e.ReadInFull(), Broken: e.Broken(),
	}
}

// An UnsafeError is a plan that would break a promise. The policy is made so that there is none; this is looked at before anything is
// removed all the same.
type UnsafeError struct{ What string }

func (e *UnsafeError) Error() string {
	return "nothing was removed, because the plan would have broken a promise: " + e.What
}

// Hint tells what to do.
func (e *UnsafeError) Hint() string {
	return "this is a fault in lifeboat: please report it, with the output of `lifeboat list -o json`"
}

// check holds a plan to the promises: `latest` stays what it is, no lineage changes its standing, none goes below the floor, nothing held or
// frozen goes.
func (p *Plan) check() error {
	var gone []catalog.ID
	left, before := make(map[catalog.Lineage]int), make(map[catalog.Lineage]int)
	for _, l := range p.Lines {
		before[l.Lineage]++
		if l.Verdict != retention.Remove {
			left[l.Lineage]++
			continue
		}
		gone = append(gone, l.Entry.ID)
		if l.Held {
			return &UnsafeError{fmt.Sprintf("%s is held", l.Entry.ID)}
		}
	}
	floor := max(1, p.o.Policy.Floor)
	for lineage, n := range before {
		if left[lineage] < min(n, floor) {
			return &UnsafeError{fmt.Sprintf("of %d backups of the lineage of %s only %d would be left", n, lineage.First, left[lineage])}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	after := p.Listing.Without(gone...)
	was, _, errWas := p.Listing.Resolve("latest", p.now)
	is, _, errIs := after.Resolve("latest", p.now)
	if was.ID != is.ID || (errWas == nil) != (errIs == nil) {
		return &UnsafeError{fmt.Sprintf("latest would be %q instead of %q", is.ID, was.ID)}
	}
	stands := make(map[catalog.Lineage]bool)
	for _, l := range p.Lines {
		stands[l.Lineage] = len(l.Doubts) == 0
	}
	for _, e := range after.Entries {
		if stands[e.Lineage] != (len(e.Doubts) == 0) {
			return &UnsafeError{fmt.Sprintf("the lineage of %s would no longer be, or newly be, accepted", e.Lineage.First)}
		}
	}
	return nil
}
