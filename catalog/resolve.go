package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Skip is a newer backup that was not chosen, and why.
type Skip struct {
	ID     ID
	Reason string
}

// Resolve finds the backup that a person means:
//
//   - an id, or the beginning of one that fits one backup only: that one, suspect or not;
//   - latest: the newest of the newest accepted lineage;
//   - latest-verified: the newest of an accepted lineage that is proven, see Entry.Proven;
//   - before:TIME: the newest of an accepted lineage that was finished by then, so it holds nothing that came later. TIME is
//     2026-11-20T14:32:00Z (RFC 3339, any zone), or in UTC 2026-11-20T14:32, 2026-11-20 14:32, with seconds or without, 2026-11-20
//     (its beginning), 14:32 (the last one).
//
// What was passed over is returned with the reasons. Errors match ErrNotFound, ErrUsage, or what is wrong with the manifest of exactly that
// backup: *DisputedError if another manifest contradicts it.
func (l Listing) Resolve(selector string, now time.Time) (Entry, []Skip, error) {
	if selector == "latest" {
		return l.newest(time.Time{}, func(Entry) string { return "" })
	}
	if selector == "latest-verified" {
		return l.newest(time.Time{}, func(e Entry) string {
			if _, ok := e.Proven(); ok {
				return ""
			}
			return e.unproven()
		})
	}
	if text, ok := strings.CutPrefix(selector, "before:"); ok {
		by, err := parseTime(text, now)
		if err != nil {
			return Entry{}, nil, err
		}
		return l.newest(by, func(e Entry) string {
			if !e.Finished.After(by) {
				return ""
			}
			return "it was finished only at " + e.Finished.Format(time.RFC3339)
		})
	}
	e, err := l.byID(selector)
	return e, nil, err
}

// newest finds the newest backup of the newest accepted lineage that fits; unfit says why one does not. With a time, what was started
// later is not even passed over.
func (l Listing) newest(by time.Time, unfit func(Entry) string) (Entry, []Skip, error) {
	var chosen *Entry
	for _, h := range slices.Backward(histories(l.Entries)) {
		for i := len(h.entries) - 1; i >= 0 && h.accepted && chosen == nil; i-- {
			if unfit(*h.entries[i]) == "" {
				chosen = h.entries[i]
			}
		}
	}
	skips := l.passedOver(chosen, by, unfit)
	if chosen != nil {
		return *chosen, skips, chosen.Dispute()
	}
	// Where something is there but unusable, that is the reason.
	for _, p := range slices.Backward(l.Problems) {
		if p.ID != "" && len(l.Entries) == 0 {
			return Entry{}, skips, fmt.Errorf("no backup of cluster %s can be used: %w", l.Cluster, p)
		}
	}
	switch {
	case len(l.Entries) == 0:
		return Entry{}, skips, l.notFound("there is none" + l.where())
	case by.IsZero() && slices.ContainsFunc(l.Entries, func(e Entry) bool { return len(e.Doubts) == 0 }):
		return Entry{}, skips, l.notFound(fmt.Sprintf("of %d none is proven: no deep verification and no rehearsal has passed", len(l.Entries)))
	case by.IsZero():
		return Entry{}, skips, l.notFound(fmt.Sprintf("the lineage of all %d is suspect; name one by its id, or accept one", len(l.Entries)))
	}
	return Entry{}, skips, l.notFound(fmt.Sprintf("none of an accepted lineage was finished by %s; the oldest is %s", by.UTC().Format(time.RFC3339), l.Entries[0].ID))
}

// passedOver lists what is newer than the chosen one, and would have been it otherwise.
func (l Listing) passedOver(chosen *Entry, by time.Time, unfit func(Entry) string) (skips []Skip) {
	intime := func(id ID) bool { return by.IsZero() || !id.Time().After(by) }
	listed := make(map[ID]bool)
	for _, e := range l.Entries {
		listed[e.ID] = true
		switch {
		case chosen != nil && compareEntries(e, *chosen) <= 0, !intime(e.ID):
		case len(e.Doubts) > 0:
			skips = append(skips, Skip{e.ID, "suspect: " + strings.Join(e.Doubts, "; ")})
		case unfit(e) != "":
			skips = append(skips, Skip{e.ID, unfit(e)})
		default:
			skips = append(skips, Skip{e.ID, "it is of the older lineage of " + string(e.Lineage.First)})
		}
	}
	for _, p := range l.Problems {
		if p.ID != "" && (chosen == nil || compareIDs(p.ID, chosen.ID) > 0) && intime(p.ID) && !listed[p.ID] {
			listed[p.ID] = true
			skips = append(skips, Skip{p.ID, p.Error()})
		}
	}
	slices.SortFunc(skips, func(a, b Skip) int { return compareIDs(a.ID, b.ID) })
	return skips
}

// byID finds a backup by its id or the beginning of it.
func (l Listing) byID(begin string) (Entry, error) {
	if begin == "" || strings.Trim(begin, "0123456789abcdefTZ-r") != "" {
		return Entry{}, usagef("backup %.80q: neither an id nor the beginning of one, nor latest, latest-verified or before:TIME", begin)
	}
	var found []Entry
	for _, e := range l.Entries {
		if strings.HasPrefix(string(e.ID), begin) {
			found = append(found, e)
		}
	}
	var unusable []*Problem
	for _, p := range l.Problems {
		if strings.HasPrefix(string(p.ID), begin) && strings.HasPrefix(p.Key, manifests(l.Cluster)) {
			unusable = append(unusable, p)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], found[0].Dispute()
	case len(found) > 1:
		var ids []string
		for _, e := range found[:min(len(found), 5)] {
			ids = append(ids, string(e.ID))
		}
		return Entry{}, usagef("%d backups begin with %s: %s", len(found), begin, strings.Join(ids, ", "))
	case len(unusable) > 0:
		return Entry{}, fmt.Errorf("backup %s cannot be used: %w", unusable[0].ID, unusable[0])
	case len(l.Entries) == 0:
		return Entry{}, l.notFound(begin + l.where())
	}
	// What comes before and after it in time is what was meant, perhaps.
	i, _ := slices.BinarySearchFunc(l.Entries, ID(begin), func(e Entry, id ID) int { return compareIDs(e.ID, id) })
	var near []string
	for _, e := range l.Entries[max(0, i-2):min(len(l.Entries), i+2)] {
		near = append(near, string(e.ID))
	}
	return Entry{}, l.notFound(fmt.Sprintf("%s; near it are %s", begin, strings.Join(near, ", ")))
}

func (l Listing) notFound(what string) error {
	var unread string
	for _, p := range l.Problems {
		if p.Key == "" {
			unread = fmt.Sprintf(" (not everything could be read: %v)", p)
		}
	}
	if l.Cluster == "" {
		return fmt.Errorf("%w: %s%s", ErrNotFound, what, unread)
	}
	return fmt.Errorf("%w of cluster %s: %s%s", ErrNotFound, l.Cluster, what, unread)
}

// where tells what there is instead.
func (l Listing) where() string {
	if len(l.Others) == 0 {
		return ""
	}
	return "; there are backups of " + strings.Join(l.Others, ", ")
}

// parseTime reads a time as Resolve documents it.
func parseTime(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", idTime,
	} {
		if t, err := time.Parse(layout, s); err == nil { // UTC where no zone is told
			return t, nil
		}
	}
	if t, err := time.Parse("15:04", s); err == nil {
		y, m, d := now.UTC().Date()
		t = time.Date(y, m, d, t.Hour(), t.Minute(), 0, 0, time.UTC)
		if t.After(now) {
			t = t.AddDate(0, 0, -1)
		}
		return t, nil
	}
	return time.Time{}, usagef("time %.40q: write it like 2026-11-20T14:32:00Z, or in UTC like 2026-11-20 14:32, 2026-11-20 or 14:32", s)
}
