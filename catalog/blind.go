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
		if n == 0 || founder.ID != h.First || founder.Previous != nil || h.seenBy(all[:n]) {
			continue
		}
		var before []Entry
		for _, older := range all[:n] {
			for _, e := range older.entries {
				before = append(before, *e)
			}
		}
		slices.SortFunc(before, compareEntries)
		_, reasons := Continue(before, founder.Manifest)
		for _, e := range h.entries {
			e.Blind = reasons
		}
	}
}

// seenBy reports whether a backup of one of the others names one of these as its predecessor: then a clock was wrong, and these were first.
func (h *history) seenBy(others []*history) bool {
	return slices.ContainsFunc(others, func(other *history) bool {
		return slices.ContainsFunc(other.entries, func(e *Entry) bool {
			return e.Previous != nil && slices.ContainsFunc(h.entries, func(own *Entry) bool { return own.ID == e.Previous.ID })
		})
	})
}

// reasons are why the lineage of a backup would be suspect, as far as that can be told from this one.
func (e Entry) reasons() []string {
	if len(e.Suspect.Reasons) > 0 {
		return e.Suspect.Reasons
	}
	return e.Blind
}
