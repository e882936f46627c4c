package catalog

import (
	"cmp"
	"fmt"
	"slices"
)

// A history is the backups of one lineage, oldest first.
type history struct {
	Lineage
	entries  []*Entry // those given
	signed   bool     // some of them, by a trusted key
	accepted bool
}

func (h *history) newest() *Entry { return h.entries[len(h.entries)-1] }

// doubts are why a lineage that is not accepted is suspect, by the newest of its backups that tells.
func (h *history) doubts() []Doubt {
	for _, e := range slices.Backward(h.entries) {
		if doubts := e.ownDoubts(); len(doubts) > 0 {
			return doubts
		}
	}
	return nil
}

// histories sorts backups into lineages, oldest lineage first. A lineage is accepted if a person said so about one of its backups, or
// if one of them was written without suspicion: suspicion is sticky, so that one was the first of all or came after the acceptance. Where a trusted
// key has signed some of them, what it has not signed says nothing.
func histories(entries []Entry) []*history {
	byLineage := make(map[Lineage]*history)
	var all []*history
	for i := range entries {
		e := &entries[i]
		h := byLineage[e.Lineage]
		if h == nil {
			h = &history{Lineage: e.Lineage}
			byLineage[e.Lineage] = h
			all = append(all, h)
		}
		h.entries = append(h.entries, e)
		h.signed = h.signed || e.Sig.Trusted
	}
	for _, h := range all {
		h.accepted = slices.ContainsFunc(h.entries, func(e *Entry) bool { return e.Accepts() && (e.Accepted || e.Sig.Trusted || !h.signed) })
	}
	slices.SortStableFunc(all, (*history).compare)
	return all
}

// compare orders by the first backups, as compareEntries does.
func (h *history) compare(other *history) int {
	return cmp.Or(h.First.compareStart(other.First), cmp.Compare(h.entries[0].Sequence, other.entries[0].Sequence), compareIDs(h.First, other.First))
}

// compareEntries orders as compareIDs, but of backups of one second and revision the one is older that has seen fewer before it.
func compareEntries(a, b Entry) int {
	return cmp.Or(a.ID.compareStart(b.ID), cmp.Compare(a.Sequence, b.Sequence), compareIDs(a.ID, b.ID))
}

// compareStart orders by start, then by revision as a number.
func (id ID) compareStart(other ID) int {
	if n := len(idTime); len(id) > n && len(other) > n && id[:n] != other[:n] {
		return cmp.Compare(id, other) // by far the most; to take them apart would be slow
	}
	if id.Time().Equal(other.Time()) {
		return cmp.Compare(id.Revision(), other.Revision())
	}
	return cmp.Compare(id, other)
}

// compareIDs orders by start, then by revision as a number (as text r99 would come after r100), then by the random part.
func compareIDs(a, b ID) int {
	return cmp.Or(a.compareStart(b), cmp.Compare(a, b))
}

// current returns the newest accepted lineage, nil if there is none.
func current(all []*history) *history {
	for _, h := range slices.Backward(all) {
		if h.accepted {
			return h
		}
	}
	return nil
}

// Continue decides which lineage a new backup belongs to, and whether that is suspect. entries are the backups that exist, in id
// order; of m the ID, Started, Finished, Revision, LiveKeys and Lineage.EtcdClusterID count.
//
// A backup continues the newest lineage of its etcd cluster id if its revision is at least the highest among that lineage's backups
// finished before it started, and its live keys are not less than half of the newest one's among them. Otherwise it begins a new lineage,
// suspect until a person accepts it; what continues a suspect lineage is suspect too. Lineages older than the newest accepted one are
// over: what would continue them comes from a cluster that was given up. The first backup of all is not suspect.
// All three conditions count because a cluster wiped and started again by the same script has the same cluster id.
func Continue(entries []Entry, m Manifest) (Lineage, []Doubt) {
	own := Lineage{First: m.ID, EtcdClusterID: m.Lineage.EtcdClusterID}
	all := histories(entries)
	if len(all) == 0 {
		return own, nil
	}
	head := current(all)
	var last *history // the newest lineage of this etcd cluster
	for _, h := range all {
		if h.EtcdClusterID == m.Lineage.EtcdClusterID {
			last = h
		}
	}
	if last == nil {
		before := all[len(all)-1]
		if head != nil {
			before = head
		}
		return own, []Doubt{{DoubtClusterID, fmt.Sprintf("the etcd cluster id is %s, and was %s in %s", own.EtcdClusterID, before.EtcdClusterID, before.newest().ID)}}
	}
	if head != nil && last.compare(head) < 0 {
		return own, []Doubt{{DoubtClusterID, fmt.Sprintf("the etcd cluster id is %s, as before the lineage of %s was accepted in its place", own.EtcdClusterID, head.First)}}
	}
	if doubts := regressions(last, m); len(doubts) > 0 {
		return own, doubts
	}
	if !last.accepted {
		return last.Lineage, slices.Clone(last.doubts())
	}
	return last.Lineage, nil
}

// overlap reports whether two backups were made at the same time by racing writers, so that either may hold the later state.
// One that exists already and claims to have started after m was finished is not: a clock was wrong, and must not hide it.
func overlap(e, m Manifest) bool {
	return !e.Finished.Before(m.Started) && (m.Finished.IsZero() || !e.Started.After(m.Finished))
}

// regressions compares a new backup with those of a lineage that were finished before it started.
func regressions(h *history, m Manifest) (doubts []Doubt) {
	var highest, newest *Entry
	for _, e := range h.entries {
		if e.ID == m.ID || overlap(e.Manifest, m) {
			continue
		}
		if newest = e; highest == nil || e.Revision >= highest.Revision {
			highest = e
		}
	}
	if newest == nil {
		return nil
	}
	if m.Revision < highest.Revision {
		doubts = append(doubts, Doubt{DoubtRevision, fmt.Sprintf("the revision went back from %d in %s to %d", highest.Revision, highest.ID, m.Revision)})
	}
	if m.LiveKeys < newest.LiveKeys-m.LiveKeys { // written so that it cannot overflow
		doubts = append(doubts, Doubt{DoubtLiveKeys, fmt.Sprintf("of %d live keys in %s only %d are left", newest.LiveKeys, newest.ID, m.LiveKeys)})
	}
	return doubts
}
