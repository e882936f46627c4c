package faults_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/sinks/fault"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestVerifyNeverSaysWholeOfWhatIsNotWhateverCallFails(t *testing.T) {
	t.Parallel()
	for name, deep := range map[string]bool{"verify": false, "verify deep": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t).damaged()
			s.everywhere(t, operation{name: name, do: s.verify(deep), judge: s.judgeVerify})
		})
	}
}

// damaged is the scene with a bit flipped in one payload of the first sink, and another payload gone from the second.
func (s *scene) damaged() *scene {
	d := *s
	d.was = s.held[0]
	d.held = [2]map[string][]byte{maps.Clone(s.held[0]), maps.Clone(s.held[1])}
	flipped := s.before.Entries[1].Sealed.Key
	data := slices.Clone(s.held[0][flipped])
	data[len(data)/2] ^= 1
	d.held[0][flipped] = data
	delete(d.held[1], s.before.Entries[2].Sealed.Key)
	return &d
}

// whole tells whether a sink of the scene has a backup's payload as it was.
func (s *scene) whole(sink int, m catalog.Manifest) bool {
	return bytes.Equal(s.held[sink][m.Sealed.Key], s.was[m.Sealed.Key])
}

// verified is what verify told of one copy.
type verified struct {
	sink int
	m    catalog.Manifest
	err  error
}

// ranVerify is what verify told of all copies that are listed.
type ranVerify struct {
	listing catalog.Listing
	copies  []verified
	reports []error // of writing them
	err     error
}

// chosen is how many backups are verified: a sound one, and the two that are damaged in one sink each.
const chosen = 3

// verify reads every copy of the chosen backups that is listed, as the command does.
func (s *scene) verify(deep bool) func(ctx context.Context, ss []catalog.Named) any {
	return func(ctx context.Context, ss []catalog.Named) any {
		var r ranVerify
		if r.listing, r.err = catalog.List(ctx, ss, clusterName, catalog.Trust{}); r.err != nil {
			return r
		}
		for _, e := range r.listing.Entries[:min(chosen, len(r.listing.Entries))] {
			report := catalog.Report{ID: e.ID, Cluster: clusterName, Report: catalog.ReportVerify, Time: s.at, OK: true, Deep: deep}
			for i, n := range ss {
				if !slices.Contains(e.Sinks, n.Name) {
					continue
				}
				err := s.verifyOne(ctx, e, n, deep)
				r.copies = append(r.copies, verified{i, e.Manifest, err})
				report.OK = report.OK && err == nil
				report.Sinks = append(report.Sinks, catalog.SinkResult{Sink: n.Name, OK: err == nil})
			}
			for _, n := range ss {
				r.reports = append(r.reports, catalog.PutReport(ctx, n, report))
			}
		}
		return r
	}
}

func (s *scene) verifyOne(ctx context.Context, e catalog.Entry, in catalog.Named, deep bool) error {
	if !deep {
		return catalog.VerifyDigest(ctx, in, e.Manifest, nil)
	}
	_, err := restore.Verify(ctx, e, in, s.options.SpoolDir, restore.Deps{Identities: s.ids})
	return err
}

// judgeVerify wants every verdict to be true: nothing damaged is called whole, nothing whole is called damaged because a sink failed,
// and of what could not be looked into the listing tells.
func (s *scene) judgeVerify(t *testing.T, told any, ss []catalog.Named, c cut) {
	t.Helper()
	s.mustHoldAllOf(t, ss)
	ran := told.(ranVerify)
	clean := c.way.name == ""
	if ran.err != nil && !c.way.cutOff {
		t.Errorf("one sink is sound, and the listing fails: %v", ran.err)
	}
	for _, v := range ran.copies {
		whole := s.whole(v.sink, v.m)
		switch {
		case v.err == nil && !whole:
			t.Errorf("%s in sink %d is damaged and called whole", v.m.ID, v.sink)
		case v.err != nil && whole && (clean || v.sink != c.sink && !c.way.cutOff):
			t.Errorf("%s in sink %d is whole and was read without a fault, and fails: %v", v.m.ID, v.sink, v.err)
		case v.err != nil && whole && isDamage(v.err) && !lies(c):
			t.Errorf("%s in sink %d is whole, and for a failing sink called damaged: %v", v.m.ID, v.sink, v.err)
		case v.err != nil && !whole && !isDamage(v.err) && v.sink != c.sink && !c.way.cutOff:
			t.Errorf("%s in sink %d is damaged, and said to be: %v", v.m.ID, v.sink, v.err)
		}
	}
	if i := slices.IndexFunc(ran.reports, func(err error) bool { return err != nil }); i >= 0 && (clean || i%len(ss) != c.sink && !c.way.cutOff) {
		t.Errorf("a report is not written, and the sink is sound: %v", ran.reports[i])
	}
	s.judgeReports(t, ran, ss, c)
	if all := len(ss) * chosen; ran.err == nil && len(ran.copies) < all && len(ran.listing.Problems) == 0 {
		t.Errorf("only %d of %d copies were looked into, and no problem is told", len(ran.copies), all)
	}
}

// judgeReports reads what was written: a backup with a damaged copy is not proven by a report that says so of it.
func (s *scene) judgeReports(t *testing.T, ran ranVerify, ss []catalog.Named, c cut) {
	t.Helper()
	written := slices.Contains(ran.reports, nil)
	for _, e := range list(t, ss).Entries[:chosen] {
		last, ok := e.Last(catalog.ReportVerify)
		if !ok || !last.Time.Equal(s.at) {
			continue
		}
		if !written && !c.way.cutOff { // whoever is ended while writing cannot know
			t.Errorf("a report on %s is there, and every one is said to have failed", e.ID)
		}
		if sound := s.whole(0, e.Manifest) && s.whole(1, e.Manifest); last.OK && !sound && len(last.Sinks) == len(ss) {
			t.Errorf("the report on %s says that both copies are whole", e.ID)
		}
	}
}

// lies tells whether a cut makes a sink give fewer bytes than there are and call it the end: then damage is all that can be seen.
func lies(c cut) bool { return c.call.Op == fault.Read && c.way.kind == fault.EOF }

func isDamage(err error) bool {
	return errors.Is(err, catalog.ErrDamaged) || errors.Is(err, crypto.ErrDamaged) || errors.Is(err, snapshot.ErrDamaged) || errors.Is(err, catalog.ErrNotAuthentic)
}
