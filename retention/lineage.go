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
	counted bool // of a backup that counts as a witness: not of one that anybody may have written
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
		l.counted = l.counted || i.Witness && i.Excluded == ""
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

// decided reports whether a person has decided about a suspect lineage by accepting one that surely began after it, which by both
// measures this one is not newer than.
func (l *lineage) decided(all []*lineage) bool {
	return slices.ContainsFunc(all, func(a *lineage) bool { return !a.suspect && a.counted && !l.newer(a) })
}

// frozenBy finds of each lineage that is frozen the suspect one that does it.
func frozenBy(all []*lineage) map[*lineage]*lineage {
	frozen := make(map[*lineage]*lineage)
	for _, s := range all {
		if !s.suspect || s.decided(all) {
			continue
		}
		for _, l := range all {
			if by := frozen[l]; s != l && s.newer(l) && (by == nil || s.newer(by)) {
				frozen[l] = s
			}
		}
	}
	return frozen
}

// freeze keeps everything of each lineage beside which a newer one is suspect: until a person has decided what that is, what was
// before it may be all there is.
func freeze(all []*lineage) {
	for l, by := range frozenBy(all) {
		for _, i := range l.items {
			i.frozen = "the newer lineage of " + by.name + " is suspect and not accepted"
		}
	}
}

// FrozenBy tells of each lineage that is frozen which suspect one does it. Of the backups Lineage, Begun, Sequence, Accepted, Witness and
// Excluded count.
func FrozenBy(backups []Backup) map[string]string {
	items := make([]*item, len(backups))
	for i, b := range backups {
		items[i] = &item{Backup: b}
	}
	names := make(map[string]string)
	for l, by := range frozenBy(group(items)) {
		names[l.name] = by.name
	}
	return names
}
