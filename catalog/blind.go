package catalog

import "slices"

// The first backup of all is not suspect. A run that could see only one empty sink of several takes its own for that: of a wiped cluster,
// perhaps, whose good backups lie in the others. So whoever sees both judges as that run would have, had it seen them.

// judgeBlind tells of every backup whose lineage was founded without a look at an older one what speaks against it.
func (l *Listing) judgeBlind() {
	for i := range l.Entries {
		l.Entries[i].Blind = nil
	}
	all := histories(l.Entries)
	for n, h := range all {
		founder := h.entries[0]
		if founder.ID != h.First || founder.Previous != nil {
			continue
		}
		before := h.overlooked(all[:n])
		if len(before) == 0 {
			continue
		}
		_, reasons := Continue(before, founder.Manifest)
		for _, e := range h.entries {
			e.Blind = reasons
		}
	}
}

// overlooked are the backups of older lineages that the founder of this one would have seen in the sinks that it did not have. What came later
// speaks neither for nor against it: the older lineage may go on beside it, in a sink of its own.
func (h *history) overlooked(others []*history) (before []Entry) {
	founder := h.entries[0]
	for _, other := range others {
		if h.seenBy(other) {
			continue
		}
		for _, e := range other.entries {
			if !e.Started.After(founder.Finished) {
				seen := *e
				seen.Accepted = other.accepted // perhaps by one that came later
				before = append(before, seen)
			}
		}
	}
	slices.SortFunc(before, compareEntries)
	return before
}

// seenBy reports whether another lineage began with a look at this one, whose backup it names as its predecessor: then a clock was wrong,
// and this one was first. What the other names later says nothing: it goes by what is newest then, whatever that is.
func (h *history) seenBy(other *history) bool {
	p := other.entries[0].Previous
	return p != nil && slices.ContainsFunc(h.entries, func(own *Entry) bool { return own.ID == p.ID })
}

// reasons are why the lineage of a backup would be suspect, as far as that can be told from this one.
func (e Entry) reasons() []string {
	if len(e.Suspect.Reasons) > 0 {
		return e.Suspect.Reasons
	}
	return e.Blind
}
