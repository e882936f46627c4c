package catalog

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Fault is what is known to be wrong with one copy of a backup.
type Fault struct {
	Sink string
	What string // for people: "payload missing", "found damaged at …"
}

// FindPayloads lists the payloads in every sink, and notes in each entry where its own is missing or of another size. A sink whose payloads
// cannot be listed is told as a problem, and nothing is noted of it: what it holds is not to be guessed.
func (l *Listing) FindPayloads(ctx context.Context, ss []Named) {
	if len(l.Entries) == 0 {
		return // and perhaps not even a cluster to look for
	}
	wanted := make(map[string]bool, len(l.Entries))
	for i := range l.Entries {
		l.Entries[i].Lacking = nil
		wanted[l.Entries[i].Manifest.Sealed.Key] = true
	}
	for _, s := range ss {
		if slices.ContainsFunc(l.Problems, func(p *Problem) bool { return p.Sink == s.Name && p.Key == "" }) {
			continue // told already
		}
		sizes := make(map[string]int64)
		var unread error
		for o, err := range s.List(ctx, payloads(l.Cluster)) {
			if err != nil {
				unread = err
				break
			}
			if wanted[o.Key] {
				sizes[o.Key] = o.Size
			}
		}
		if unread != nil {
			l.Problems = append(l.Problems, &Problem{Sink: s.Name, Err: unread})
			continue
		}
		for i := range l.Entries {
			e := &l.Entries[i]
			if size, ok := sizes[e.Manifest.Sealed.Key]; slices.Contains(e.Sinks, s.Name) {
				e.Lacking = append(e.Lacking, lacking(*e, s.Name, size, ok)...)
			}
		}
	}
}

// FindPayload does for one entry what FindPayloads does for all, with a request to each sink that holds it, and counts as there what restore would take:
// an older version of the right size. Of a sink that cannot be asked nothing is noted.
func (e *Entry) FindPayload(ctx context.Context, ss []Named) {
	found := make([][]Fault, len(ss))
	var wg sync.WaitGroup
	for i, s := range ss {
		if slices.Contains(e.Sinks, s.Name) {
			wg.Go(func() { found[i] = e.lackingIn(ctx, s) })
		}
	}
	wg.Wait()
	e.Lacking = slices.Concat(found...)
}

func (e *Entry) lackingIn(ctx context.Context, s Named) []Fault {
	size, ok := int64(0), false
	for o, err := range s.List(ctx, e.Manifest.Sealed.Key) {
		if err != nil {
			return nil
		}
		if ok = o.Key == e.Manifest.Sealed.Key; ok {
			size = o.Size
			break
		}
	}
	found := lacking(*e, s.Name, size, ok)
	if len(found) > 0 && len(OlderPayloads(ctx, s, e.Manifest)) > 0 {
		return nil
	}
	return found
}

// lacking is what speaks against a copy by the size of its payload, which is there or not.
func lacking(e Entry, sink string, size int64, ok bool) []Fault {
	switch {
	case !ok:
		return []Fault{{sink, "payload missing"}}
	case size != e.Manifest.Sealed.Size:
		return []Fault{{sink, fmt.Sprintf("payload cut short or replaced: %d bytes instead of %d", size, e.Manifest.Sealed.Size)}}
	}
	return nil
}

// Faults tells which copies are not whole, in the order of the sinks: by what FindPayloads noted, and by the reports. What was found damaged
// stays so until a verification that looked as deep finds it whole.
func (e Entry) Faults() []Fault {
	all := slices.Clone(e.Lacking)
	for sink, at := range e.damaged(e.Reports) {
		if !slices.ContainsFunc(e.Lacking, func(f Fault) bool { return f.Sink == sink }) {
			all = append(all, Fault{sink, "found damaged at " + at.Format(time.RFC3339)})
		}
	}
	slices.SortFunc(all, func(a, b Fault) int { return slices.Index(e.Sinks, a.Sink) - slices.Index(e.Sinks, b.Sink) })
	return all
}

// damaged are the sinks, of those that hold it, in which a verification found it damaged, and when, by some of its reports.
func (e Entry) damaged(by []Report) map[string]time.Time {
	found, inside := make(map[string]time.Time), make(map[string]bool)
	for _, r := range by { // oldest first
		if r.Report != ReportVerify {
			continue
		}
		for _, s := range r.Sinks {
			switch {
			case !slices.Contains(e.Sinks, s.Sink):
			case !s.OK:
				found[s.Sink], inside[s.Sink] = r.Time, r.Deep
			case r.Deep || !inside[s.Sink]:
				delete(found, s.Sink)
			}
		}
	}
	return found
}

// Failed reports whether verifications, or the deep ones alone, found a copy of it that is not what was stored, and none that looked as deep found that one
// whole since. Of those that call the sinks by other names than they have here, the newest counts.
func (e Entry) Failed(deep bool) bool {
	var by []Report
	elsewhere := false
	for _, r := range e.Reports { // oldest first
		if r.Report != ReportVerify || deep && !r.Deep {
			continue
		}
		by = append(by, r)
		here := slices.ContainsFunc(r.Sinks, func(s SinkResult) bool { return slices.Contains(e.Sinks, s.Sink) })
		elsewhere = !r.OK && (elsewhere || !here)
	}
	return elsewhere || len(e.damaged(by)) > 0
}

// Lost says why no sink has a whole copy, as far as is known; "" if one may have.
func (e Entry) Lost() string {
	if len(e.Sinks) > 0 && len(e.Lacking) == len(e.Sinks) {
		return "in no sink there is a payload of the right size"
	}
	since := e.Reports
	for i, r := range slices.Backward(e.Reports) {
		if r.Report == ReportRehearse {
			if r.OK { // from a copy that was whole then; by the order of the reports, since the host's clock may have been wrong
				since = e.Reports[i+1:]
			}
			break
		}
	}
	gone, last := len(e.Lacking), time.Time{}
	for sink, at := range e.damaged(since) {
		if !slices.ContainsFunc(e.Lacking, func(f Fault) bool { return f.Sink == sink }) {
			gone++
			last = later(last, at)
		}
	}
	switch {
	case len(e.Sinks) == 0 || gone < len(e.Sinks):
		return e.damagedEverywhere()
	case len(e.Lacking) > 0:
		return "in every sink its payload is missing or was found damaged"
	}
	return "it was found damaged in every sink at " + last.Format(time.RFC3339)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// damagedEverywhere goes by reports that call the sinks by other names than they have here. A verification has to have failed in every
// sink that it looked at, and in as many as there are: a damaged copy is no damaged backup. Nor is one whose copy in a sink that has its name here was mended since.
func (e Entry) damagedEverywhere() (found string) {
	still := e.damaged(e.Reports)
	mended := func(sink string) bool {
		_, damaged := still[sink]
		return slices.Contains(e.Sinks, sink) && !damaged
	}
	for _, r := range e.Reports {
		switch {
		case r.OK && (r.Report == ReportRehearse || r.Report == ReportVerify && r.Deep):
			found = ""
		case r.Report == ReportVerify && len(r.Sinks) > 0 && len(r.Sinks) >= len(e.Sinks) && !slices.ContainsFunc(r.Sinks, func(s SinkResult) bool { return s.OK || mended(s.Sink) }):
			found = "it was found damaged in every sink at " + r.Time.Format(time.RFC3339)
		}
	}
	return found
}

// Broken says why the backup could not be restored, as far as is known: no sink has a whole copy, or the last rehearsal failed, and not for
// a fault of something else; "" if nothing speaks against it.
func (e Entry) Broken() string {
	if why := e.Lost(); why != "" {
		return why
	}
	for _, r := range slices.Backward(e.Reports) {
		switch {
		case r.Report == ReportRehearse && r.againstBackup():
			return "its rehearsal failed at " + r.Time.Format(time.RFC3339)
		case r.OK && (r.Report == ReportRehearse || r.Report == ReportVerify && r.Deep):
			return ""
		}
	}
	return ""
}

// Usable finds what is restored in the end: the newest of an accepted lineage of which some sink may have a whole copy. It is what
// `latest` means, unless that is lost. An error matches ErrNotFound, or is the one that Resolve has for latest.
func (l Listing) Usable(now time.Time) (Entry, error) {
	latest, _, err := l.Resolve("latest", now)
	if err != nil || latest.Lost() == "" {
		return latest, err
	}
	for _, h := range slices.Backward(histories(l.Entries)) {
		for _, e := range slices.Backward(h.entries) {
			if h.accepted && e.Lost() == "" {
				return *e, e.Dispute()
			}
		}
	}
	return Entry{}, l.notFound(fmt.Sprintf("no sink has a whole copy of any; of the newest, %s: %s", latest.ID, latest.Lost()))
}
