package retention

import (
	"slices"
	"time"
)

// A lineage is the backups of one history, oldest first.
type lineage struct {
	name    string
	items   []*item
	begun   time.Time
	first   int64 // lowest sequence
	suspect bool
}

// group sorts backups into lineages.
func group(items []*item) (all []*lineage) {
	byName := make(map[string]*lineage)
	for _, i := range items {
		l := byName[i.Lineage]
		if l == nil {
			l = &lineage{name: i.Lineage, begun: i.Begun, first: i.Sequence}
			byName[i.Lineage] = l
			all = append(all, l)
		}
		l.items = append(l.items, i)
		l.suspect = l.suspect || !i.Accepted
		l.first = min(l.first, i.Sequence)
	}
	for _, l := range all {
		slices.SortStableFunc(l.items, byAge)
	}
	return all
}

// newer reports whether l may have begun after other. Either measure is enough, because either can be wrong: a host's clock, or
// the count of a writer that could not see every sink, or that counted on from a backup dated in the future.
func (l *lineage) newer(other *lineage) bool {
	return !l.begun.Before(other.begun) || l.first >= other.first
}

// freeze keeps everything of each lineage beside which a newer one is suspect: until a person has decided what that is, what was
// before it may be all there is.
func freeze(all []*lineage) {
	for _, l := range all {
		var by *lineage
		for _, s := range all {
			if s != l && s.suspect && s.newer(l) && (by == nil || s.newer(by)) {
				by = s
			}
		}
		if by == nil {
			continue
		}
		for _, i := range l.items {
			i.frozen = "the newer lineage of " + by.name + " is suspect and not accepted"
		}
	}
}
