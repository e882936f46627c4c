package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/backup/prune"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/observe"
	"github.com/lifeboat-dr/lifeboat/retention"
)

// attentionCodes are the codes of what needs a person, but for those that only answer a flag of `status`. Metrics have one series for each, so a code
// that is not among them would be told by nobody.
func attentionCodes() []string {
	return []string{
		"none", "lost", "broken", "copies", "missing", "unproven", "suspect", "recipients-changed", "member-differs", "hidden", "unread", "clock",
		"without-quorum", "certificate",
	}
}

// facts makes of what `status` prints what the metrics show, so that the two cannot disagree. names are those of the sinks in the configuration, in the same
// order as in the bucket.
func (s *statusJSON) facts(l catalog.Listing, b *bucket, names []string, policy retention.Policy) observe.Facts {
	f := observe.Facts{
		Hidden: len(s.Hidden), Gaps: len(s.Gaps), RecipientsChanged: s.Changed != nil, Unsigned: s.unsigned(l, b),
		Suspect: map[observe.Reason]int{}, Attention: map[string]bool{}, Succeeded: map[observe.Check]time.Time{}, Failed: map[observe.Check]bool{},
	}
	if s.Newest != nil {
		f.Newest = s.newestFacts()
		f.Certificates = map[observe.Role]time.Time{}
		for _, c := range s.usable.Certificates {
			f.Certificates[observe.Role(c.Role)] = c.NotAfter
		}
	}
	for i, k := range s.Sinks {
		damaged := 0
		for _, fault := range s.Faults {
			if fault.Sink == k.Sink {
				damaged++
			}
		}
		f.Sinks = append(f.Sinks, observe.Sink{Name: names[i], Up: !k.Unread, Backups: k.Backups, Missing: len(k.Missing), Damaged: damaged})
	}
	// Marks and reports that nobody trusted has signed count for nothing; but somebody may have written them over others.
	f.Unreadable = l.IgnoredMarks + l.IgnoredReports
	for _, p := range l.Problems {
		if p.Key != "" {
			f.Unreadable++
		}
	}
	s.countBackups(l, &f)
	for _, d := range policy.Plan(s.Time, describeAll(l)) {
		if d.Verdict == retention.Frozen && len(d.Reasons) == 1 { // nothing else keeps it
			f.Frozen++
		}
	}
	checkFacts(l, &f)
	for _, code := range s.codes {
		f.Attention[code] = true
	}
	return f
}

func (s *statusJSON) newestFacts() *observe.Backup {
	m := s.usable.Manifest
	return &observe.Backup{
		Time: s.taken, Took: m.Finished.Sub(m.Started), Plain: m.Plain.Size, Sealed: m.Sealed.Size, Revision: m.Revision, LiveKeys: m.LiveKeys, Sequence: m.Sequence,
		Quorum: m.Quorum, ClockAhead: seconds(s.ClockAhead), Recipients: len(m.Sealed.Fingerprints),
	}
}

// unsigned reports whether keys are trusted, and what came last is signed by none of them. Such a backup is a problem, and none of the entries.
func (s *statusJSON) unsigned(l catalog.Listing, b *bucket) bool {
	if b.trust.Verifiers == nil {
		return false
	}
	for _, p := range l.Problems {
		if catalog.Unsigned(p) && (s.Newest == nil || p.ID.Time().After(s.Newest.ID.Time())) {
			return true
		}
	}
	return s.Newest != nil && !s.usable.Sig.Trusted
}

// countBackups counts those of the current lineage that can be restored, and those of newer ones that nobody has accepted.
func (s *statusJSON) countBackups(l catalog.Listing, f *observe.Facts) {
	var current catalog.Lineage // none if none is accepted
	for _, h := range s.Lineages {
		if h.Accepted {
			current = h.Lineage
		}
	}
	for _, e := range l.Entries {
		if s.doubtful[e.Lineage] {
			counted := map[observe.Reason]bool{}
			for _, code := range e.DoubtCodes {
				counted[observe.Reason(code)] = true
			}
			for reason := range counted {
				f.Suspect[reason]++
			}
		}
		if e.Lineage != current || e.Lost() != "" || e.Dispute() != nil {
			continue
		}
		f.Restorable++
		if _, proven := e.Proven(); proven {
			f.Proven++
		}
	}
}

// describeAll is what retention goes by.
func describeAll(l catalog.Listing) []retention.Backup {
	all := make([]retention.Backup, len(l.Entries))
	for i, e := range l.Entries {
		all[i] = prune.Describe(e)
	}
	return all
}

// checkFacts finds of every kind of check when it last passed, and whether it failed: the newest rehearsal and the newest comparison of members, but any
// backup by the verifications of its own. Many are verified in one run, and one that is whole says nothing of those that were read before it.
func checkFacts(l catalog.Listing, f *observe.Facts) {
	newest := map[observe.Check]time.Time{}
	take := func(c observe.Check, r catalog.Report) {
		if at := r.Made(); !at.Before(newest[c]) {
			newest[c], f.Failed[c] = at, !r.OK
		}
		if r.OK && r.Made().After(f.Succeeded[c]) {
			f.Succeeded[c] = r.Made()
			if c == observe.Rehearse {
				f.Rehearsal = rehearsalFacts(r.Rehearsal)
			}
		}
	}
	for _, e := range l.Entries {
		for _, r := range e.Reports {
			switch r.Report {
			case catalog.ReportVerify:
				take(observe.Verify, r)
				if r.Deep {
					take(observe.DeepVerify, r)
				}
			case catalog.ReportRehearse:
				take(observe.Rehearse, r)
			}
		}
	}
	for c := range f.Failed {
		if c == observe.Verify || c == observe.DeepVerify {
			f.Failed[c] = slices.ContainsFunc(l.Entries, func(e catalog.Entry) bool { return e.Failed(c == observe.DeepVerify) })
		}
	}
	if l.CrossCheck != nil {
		take(observe.CrossCheck, *l.CrossCheck)
	}
}

func rehearsalFacts(r *catalog.Rehearsal) map[string]time.Duration {
	if r == nil { // of a version that did not write them
		return nil
	}
	all := map[string]time.Duration{"total": seconds(r.RTOSeconds)}
	for _, p := range r.Phases {
		all[observe.PhaseOf(p.Name)] += seconds(p.Seconds)
	}
	return all
}

// pastComparisons is how many comparisons of members are looked through for one that passed.
const pastComparisons = 50

// lastComparison finds the newest comparison of members that passed, where the newest of all did not.
func lastComparison(ctx context.Context, b *bucket, f *observe.Facts) error {
	if !f.Failed[observe.CrossCheck] {
		return nil
	}
	past, err := catalog.Past(ctx, b.sinks, b.cluster, catalog.ReportCrossCheck, pastComparisons, b.trust)
	if err != nil {
		return errors.Join(errors.New("look for a comparison of members that passed"), err)
	}
	for _, r := range past.Reports {
		if r.OK && r.Made().After(f.Succeeded[observe.CrossCheck]) {
			f.Succeeded[observe.CrossCheck] = r.Made()
		}
	}
	return nil
}
