package catalog

import "slices"

// Without returns what would be listed if these backups were not there: the entries left, and what follows from them for lineages.
// The problems stay, and gaps are not looked for.
func (l Listing) Without(ids ...ID) Listing {
	gone := make(map[ID]bool, len(ids))
	for _, id := range ids {
		gone[id] = true
	}
	l.Entries = slices.DeleteFunc(slices.Clone(l.Entries), func(e Entry) bool { return gone[e.ID] })
	for i := range l.Entries {
		l.Entries[i].Cleared, l.Entries[i].Doubts, l.Entries[i].DoubtCodes = false, nil, nil
	}
	l.clearUnseen()
	l.judgeBlind()
	l.doubt()
	return l
}

// Accepts reports whether the lineage of the backup is accepted because of this backup, or of another like it: a lineage all of whose
// witnesses were removed would be suspect again.
func (e Entry) Accepts() bool { return e.Accepted || e.Cleared || len(e.ownDoubts()) == 0 }
