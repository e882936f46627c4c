package catalog

import (
	"slices"
	"time"
)

// The first backup of all is not suspect. A run that could see only one empty sink of several takes its own for that: of a wiped cluster,
// perhaps, whose good backups lie in the others. So whoever sees both judges as that run would have, had it seen them.

// Alone says of the first backup of a lineage, which saw no other, what it was beside its id. It stands in every later manifest of the lineage,
// so that removing the first does not end the doubt, until a person accepts one of them.
type Alone struct {
	Finished time.Time `json:"finished"`
	LiveKeys int64     `json:"live_keys"`
}

// alone is what a new manifest of a lineage says of its first one.
func (l Listing) alone(of Lineage) *Alone {
	for _, h := range histories(l.Entries) {
		accepted := slices.ContainsFunc(h.entries, func(e *Entry) bool { return e.Accepted })
		if founder, alone := h.founder(); h.Lineage == of && alone && !accepted {
			return &Alone{founder.Finished, founder.LiveKeys}
		}
	}
	return nil
}

// founder is the first backup of a lineage, as far as it counts for what came before, if it saw no other.
func (h *history) founder() (m Manifest, alone bool) {
	switch last := h.newest(); {
	case last.ID == h.First:
		return last.Manifest, last.Previous == nil
	case last.Alone != nil:
		return Manifest{
			ID: h.First, Started: h.First.Time(), Finished: last.Alone.Finished, Revision: h.First.Revision(), LiveKeys: last.Alone.LiveKeys, Lineage: h.Lineage,
		}, true
	}
	return Manifest{}, false
}

// judgeBlind tells of every backup whose lineage was founded without a look at an older one what speaks against it.
func (l *Listing) judgeBlind() {
	for i := range l.Entries {
		l.Entries[i].Blind = nil
	}
	all := histories(l.Entries)
	for n, h := range all {
		founder, alone := h.founder()
		if !alone {
			continue
		}
		before := h.overlooked(founder, all[:n])
		if len(before) == 0 {
			continue
		}
		_, doubts := Continue(before, founder)
		for _, e := range h.entries {
			e.Blind = doubts
		}
	}
}

// apart is how far the clocks of two hosts may be apart whose first backups ran at once.
const apart = 10 * time.Minute

// overlooked are the backups of older lineages that the founder of this one would have seen in the sinks that it did not have. What came later,
// or at the same time, speaks neither for nor against it: the older lineage may go on beside it, in a sink of its own. If only such are left, the oldest of them
// tells of which cluster they are, and no more.
func (h *history) overlooked(founder Manifest, others []*history) (before []Entry) {
	for _, other := range others {
		if h.seenBy(other) {
			continue
		}
		accepted := slices.ContainsFunc(other.entries, func(e *Entry) bool { return e.Accepts() }) // perhaps by one that came later
		for i, e := range other.entries {
			late := e.Started.After(founder.Started.Add(-apart))
			if late && i > 0 {
				continue
			}
			seen := *e
			seen.Accepted = accepted
			if late {
				seen.Revision, seen.LiveKeys = 0, 0
			}
			before = append(before, seen)
		}
	}
	slices.SortFunc(before, compareEntries)
	return before
}

// seenBy reports whether another lineage, which begins before this one by its date, was begun after it all the same, with a look at it: it names
// as its predecessor a backup that is later than itself, and no older than the first of this one. Then a clock was wrong, and this one was first. The id of
// the predecessor is enough, because that may have been pruned. What the other names later, by a right clock, says nothing: it goes by what is newest then.
func (h *history) seenBy(other *history) bool {
	oldest := other.entries[0]
	p := oldest.Previous
	return p != nil && p.ID.compareStart(h.First) >= 0 && p.ID.compareStart(oldest.ID) > 0
}
