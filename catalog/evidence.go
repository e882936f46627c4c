package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Reports pile up: a backup that is verified every night for a year has hundreds. Names tell the kind and the time, so List fetches only
// what decides: of each backup, kind and sink that was looked at the newest that is authentic, from the first sink that gives it.

// filed is a report by its name, and the sinks (their places) that hold it.
type filed struct {
	key string
	id  ID
	// at is when it was made: by its name, but not later than any store got it. A host whose clock runs ahead would otherwise have the last
	// word on a backup for as long.
	at    time.Time
	slot  string
	sinks []int
}

// listReports lists the names of a cluster's reports.
func listReports(ctx context.Context, s Named, cluster string) (all []sinks.Object, err error) {
	for o, err := range s.List(ctx, reports(cluster)) {
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// earlier returns the earlier of two times; a put that a store does not tell, which is zero, is none.
func earlier(at, put time.Time) time.Time {
	if put.IsZero() || at.Before(put) {
		return at
	}
	return put.UTC()
}

// file sorts the names of all sinks by backup and slot, the newest last. Cross-checks are of the cluster, not of the backup they are
// filed under, so those of backups that are gone count as well.
func (l *Listing) file(ss []Named, held []holdings) (bySlot map[ID]map[string][]*filed, crossChecks []*filed) {
	bySlot = make(map[ID]map[string][]*filed)
	for _, e := range l.Entries {
		bySlot[e.ID] = make(map[string][]*filed)
	}
	known := make(map[string]*filed)
	for i := range held {
		for _, o := range held[i].reports {
			if f := known[o.Key]; f != nil {
				f.sinks, f.at = append(f.sinks, i), earlier(f.at, o.ModTime)
				continue
			}
			id, at, slot, err := parseReportKey(l.Cluster, o.Key)
			if err != nil {
				l.Problems = append(l.Problems, &Problem{ss[i].Name, o.Key, id, err})
				continue
			}
			f := &filed{o.Key, id, earlier(at, o.ModTime), slot, []int{i}}
			switch slots := bySlot[id]; {
			case slot == string(ReportCrossCheck):
				crossChecks = append(crossChecks, f)
			case slots != nil && knownSlot(slot):
				slots[slot] = append(slots[slot], f)
			default: // of a backup that was removed, or of a kind that a later version knows
				continue
			}
			known[o.Key] = f
		}
	}
	for _, slots := range bySlot {
		for _, all := range slots {
			slices.SortFunc(all, byTime)
		}
	}
	slices.SortFunc(crossChecks, byTime)
	return bySlot, crossChecks
}

func byTime(a, b *filed) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.key, b.key)) }

// readReports fetches the reports that decide.
func (l *Listing) readReports(ctx context.Context, ss []Named, held []holdings, t Trust) {
	bySlot, crossChecks := l.file(ss, held)
	var (
		g  errgroup.Group
		mu sync.Mutex
		// skipped are, by backup, the times of the newest reports that say nothing, because they are damaged or of nobody who is trusted.
		skipped = make(map[ID]time.Time)
	)
	g.SetLimit(fetches)
	keep := func(e *Entry, got evidence) {
		mu.Lock()
		defer mu.Unlock()
		l.IgnoredReports += got.ignored
		l.Problems = append(l.Problems, got.problems...)
		if e != nil {
			e.Reports = append(e.Reports, got.reports...)
			e.ReportsUnread = e.ReportsUnread || got.unread
			skipped[e.ID] = later(skipped[e.ID], got.skipped)
		} else if len(got.reports) > 0 {
			l.CrossCheck = &got.reports[0]
		}
	}
	for i := range l.Entries {
		e, slots := &l.Entries[i], bySlot[l.Entries[i].ID]
		g.Go(func() error {
			deep := newestReports(ctx, ss, slots[deepVerify], t, e.Sinks)
			keep(e, deep)
			slots[string(ReportVerify)] = needed(slots[string(ReportVerify)], deep)
			for slot, all := range slots {
				if slot == deepVerify {
					continue
				}
				got := newestReports(ctx, ss, all, t, e.Sinks)
				if slot == string(ReportDelivery) {
					got.skipped = time.Time{} // it proves nothing
				}
				keep(e, got)
			}
			return nil // kept among the problems
		})
	}
	g.Go(func() error {
		keep(nil, newestReports(ctx, ss, crossChecks, t, nil))
		return nil
	})
	_ = g.Wait() // always nil, see above
	for i := range l.Entries {
		slices.SortFunc(l.Entries[i].Reports, func(a, b Report) int {
			return cmp.Or(a.made.Compare(b.made), strings.Compare(a.Key(), b.Key()))
		})
		// It may have been a failure that somebody wrote over.
		if r, ok := l.Entries[i].Proven(); ok && skipped[l.Entries[i].ID].After(r.made) {
			l.Entries[i].ReportsUnread = true
		}
	}
}

// deepest bounds how many reports of a backup and slot are fetched, to find what is known of each of its sinks; and once more how many of those that
// lie in a sink of which nothing is known by then.
const deepest = 8

// evidence are the newest reports of a backup and slot, the newest first.
type evidence struct {
	reports  []Report
	covers   bool // every sink that has the backup was looked at in one of them
	unread   bool // there is one that may say the opposite of those before it
	skipped  time.Time
	ignored  int
	problems []*Problem
}

// needed leaves out the verifications of digests that are older than the deep ones of all sinks, which say more.
func needed(shallow []*filed, deep evidence) []*filed {
	if !deep.covers {
		return shallow
	}
	oldest := deep.reports[len(deep.reports)-1].made
	return slices.DeleteFunc(shallow, func(f *filed) bool { return !f.at.After(oldest) })
}

// newestReports fetches the newest reports that are authentic, going back past those that are not, until each of the sinks was looked
// at in one: a verification of one sink says nothing of another. One that cannot be read ends the search: what it says may be the
// opposite of the one before.
func newestReports(ctx context.Context, ss []Named, all []*filed, t Trust, in []string) (got evidence) {
	missing := slices.Clone(in)
	for _, f := range slices.Backward(all) {
		if len(got.reports) >= deepest && !slices.ContainsFunc(f.sinks, func(i int) bool { return slices.Contains(missing, ss[i].Name) }) {
			continue
		}
		r, err := fetchReport(ctx, ss, f, t)
		var unread *Problem
		switch {
		case err == nil:
			got.reports = append(got.reports, r)
			missing = slices.DeleteFunc(missing, func(sink string) bool {
				return slices.ContainsFunc(r.Sinks, func(s SinkResult) bool { return s.Sink == sink })
			})
			got.covers = len(missing) == 0 || len(r.Sinks) == 0 || r.Report != ReportVerify
			if got.covers || len(got.reports) == 2*deepest {
				return got
			}
		case errors.Is(err, fs.ErrNotExist): // removed since it was listed
		case t.Verifiers != nil && errors.Is(err, ErrNotAuthentic):
			got.ignored++
			got.skipped = later(got.skipped, f.at)
		case errors.As(err, &unread):
			got.problems = append(got.problems, unread)
			got.skipped = later(got.skipped, f.at)
			if !settled(err) {
				got.unread = true
				return got
			}
		}
	}
	got.unread = len(got.reports) == 0 && len(got.problems) > 0
	return got
}

// fetchReport reads a report from the first sink that gives it as it should be. The error tells rather of a sink that could not be read
// than of one that holds something else under its name.
func fetchReport(ctx context.Context, ss []Named, f *filed, t Trust) (r Report, err error) {
	for _, i := range f.sinks {
		data, e := getNote(ctx, ss[i], f.key)
		if e == nil {
			r, e = DecodeReport(f.key, data, t)
		}
		if e == nil {
			r.made = f.at
			return r, nil
		}
		if err == nil || settled(err) {
			err = &Problem{ss[i].Name, f.key, f.id, e}
		}
	}
	return Report{}, err
}

// settled reports whether trying again would change nothing.
func settled(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotAuthentic) || errors.Is(err, ErrUnsupported) || errors.Is(err, fs.ErrNotExist)
}

// Last returns the newest report of a kind; of the verifications, deep or not.
func (e Entry) Last(kind ReportKind) (Report, bool) {
	for _, r := range slices.Backward(e.Reports) {
		if r.Report == kind {
			return r, true
		}
	}
	return Report{}, false
}

// Proven returns the newest passing report that shows that the backup can be opened and holds what its manifest says: of a deep
// verification or of a rehearsal. One that failed later takes it back, unless it was not the backup's fault; so does a later verification that
// found a copy damaged, and a report that could not be read.
func (e Entry) Proven() (Report, bool) {
	for _, r := range slices.Backward(e.Reports) {
		switch {
		case e.ReportsUnread, r.againstBackup():
			return Report{}, false
		case r.OK && (r.Report == ReportRehearse || r.Report == ReportVerify && r.Deep):
			return r, true
		}
	}
	return Report{}, false
}

// unproven says why Proven is not true.
func (e Entry) unproven() string {
	if e.ReportsUnread {
		return "not proven: a report on it could not be read"
	}
	for _, r := range slices.Backward(e.Reports) {
		if r.againstBackup() {
			return fmt.Sprintf("not proven: %s failed at %s: %s", r.slot(), r.Time.Format(time.RFC3339), r.Detail)
		}
	}
	return "not proven: no deep verification and no rehearsal of it has passed"
}
