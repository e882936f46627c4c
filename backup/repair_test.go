package backup_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// A moody sink takes nothing while it is down.
type moody struct {
	liar
	down atomic.Bool
}

func newMoody() *moody {
	m := &moody{liar: liar{Sink: mem.New()}}
	m.put = func(_ context.Context, _ string, honest func() error) error {
		if m.down.Load() {
			return errBroken
		}
		return honest()
	}
	return m
}

func ids(l catalog.Listing) (all []catalog.ID) {
	for _, e := range l.Entries {
		all = append(all, e.ID)
	}
	return all
}

func TestTheNextRunMakesUpForWhatASinkMissed(t *testing.T) {
	t.Parallel()
	good, moody := mem.New(), newMoody()
	h := newHouse(t, cluster(t, 1).Endpoints(), good, moody)
	moody.down.Store(true)
	first := h.run(t)
	if len(first.Failed()) != 1 || len(first.Repaired) != 0 {
		t.Fatalf("with a sink down: %+v", first)
	}
	report, ok := listing(t, catalog.Trust{}, good, moody).Entries[0].Last(catalog.ReportDelivery)
	if !ok || report.OK || len(report.Sinks) != 2 || report.Sinks[1].Sink != "b" || report.Sinks[1].OK || report.Sinks[1].Error == "" {
		t.Errorf("what is on record: %+v", report)
	}

	moody.down.Store(false)
	second := h.run(t)
	if len(second.Failed()) != 0 || len(second.Repaired) != 1 || second.Repaired[0].ID != first.Manifest.ID || second.Repaired[0].Sink != "b" || second.Repaired[0].Err != nil {
		t.Fatalf("with the sink up again: %+v, %+v", second.Sinks, second.Repaired)
	}
	h.mustOpen(t, moody.Sink, first.Manifest)
	for _, s := range []*mem.Sink{good, moody.Sink} {
		l := listing(t, catalog.Trust{}, s)
		if !slices.Equal(ids(l), []catalog.ID{first.Manifest.ID, second.Manifest.ID}) {
			t.Errorf("a sink holds %v", ids(l))
		}
		if report, ok := l.Entries[0].Last(catalog.ReportDelivery); !ok || !report.OK {
			t.Errorf("what is on record: %+v", report)
		}
	}

	// It is settled: should the backup go from that sink later, it stays gone.
	if err := catalog.Remove(t.Context(), catalog.Named{Name: "b", Sink: moody}, listing(t, catalog.Trust{}, good).Entries[0]); err != nil {
		t.Fatal(err)
	}
	if third := h.run(t); len(third.Repaired) != 0 {
		t.Errorf("the next run repairs again: %+v", third.Repaired)
	}
}

func TestWhatEverySinkTookIsNeverBroughtBack(t *testing.T) {
	t.Parallel()
	good, other := mem.New(), mem.New()
	h := newHouse(t, cluster(t, 1).Endpoints(), good, other)
	first := h.run(t)
	if found := keys(t, good, "v1/prod/reports/"); len(found) > 0 {
		t.Errorf("a delivery without a flaw leaves %v", found)
	}
	// As prune does, where a lock keeps it in the first sink.
	if err := catalog.Remove(t.Context(), catalog.Named{Name: "b", Sink: other}, listing(t, catalog.Trust{}, good).Entries[0]); err != nil {
		t.Fatal(err)
	}
	second := h.run(t)
	if len(second.Repaired) != 0 || slices.Contains(ids(listing(t, catalog.Trust{}, other)), first.Manifest.ID) {
		t.Errorf("a pruned backup is back: %+v", second.Repaired)
	}
}

func TestARunMakesUpForThreeTheNewestFirst(t *testing.T) {
	t.Parallel()
	good, moody := mem.New(), newMoody()
	h := newHouse(t, cluster(t, 1).Endpoints(), good, moody)
	moody.down.Store(true)
	var missed []catalog.ID
	for range 5 {
		missed = append(missed, h.run(t).Manifest.ID)
	}
	moody.down.Store(false)
	for _, want := range [][]catalog.ID{{missed[4], missed[3], missed[2]}, {missed[1], missed[0]}, nil} {
		var repaired []catalog.ID
		for _, p := range h.run(t).Repaired {
			if p.Err != nil {
				t.Error(p.Err)
			}
			repaired = append(repaired, p.ID)
		}
		if !slices.Equal(repaired, want) {
			t.Errorf("repaired are %v, not %v", repaired, want)
		}
	}
}

func TestARepairThatFailsFailsNothingElse(t *testing.T) {
	t.Parallel()
	good, moody := mem.New(), newMoody()
	h := newHouse(t, cluster(t, 1).Endpoints(), good, moody)
	moody.down.Store(true)
	first := h.run(t)
	moody.down.Store(false)
	moody.put = func(_ context.Context, key string, honest func() error) error {
		if strings.Contains(key, string(first.Manifest.ID)) {
			return errBroken
		}
		return honest()
	}
	second := h.run(t)
	if len(second.Failed()) != 0 || len(second.Repaired) != 1 || second.Repaired[0].Err == nil {
		t.Errorf("deliveries %+v, repairs %+v", second.Sinks, second.Repaired)
	}
	report, _ := listing(t, catalog.Trust{}, good).Entries[0].Last(catalog.ReportDelivery)
	if report.OK {
		t.Error("a repair that failed is on record as done")
	}
	moody.put = nil
	if third := h.run(t); len(third.Repaired) != 1 || third.Repaired[0].Err != nil {
		t.Errorf("the run after that: %+v", third.Repaired)
	}
}

func TestWhereKeysAreTrustedOnlySignedReportsAreFollowed(t *testing.T) {
	t.Parallel()
	good, moody := mem.New(), newMoody()
	h := newHouse(t, cluster(t, 1).Endpoints(), good, moody)
	h.sign(t)
	first := h.run(t)               // in both
	h.file(t, good, catalog.Report{ // somebody without a key wants it copied
		ID: first.Manifest.ID, Cluster: "prod", Report: catalog.ReportDelivery, Time: h.Now(),
		Sinks: []catalog.SinkResult{{Sink: "a", OK: true}, {Sink: "b", Error: "lie"}},
	})
	if err := catalog.Remove(t.Context(), catalog.Named{Name: "b", Sink: moody}, listing(t, h.Trust, good).Entries[0]); err != nil {
		t.Fatal(err)
	}
	moody.down.Store(true)
	missed := h.run(t)
	moody.down.Store(false)
	if r := h.run(t); len(r.Repaired) != 1 || r.Repaired[0].ID != missed.Manifest.ID || r.Repaired[0].Err != nil {
		t.Errorf("repaired: %+v", r.Repaired)
	}
	if !latest(t, h.Trust, moody).Sig.Trusted {
		t.Error("the copy has lost its signature")
	}
}

func (h *house) file(t *testing.T, in *mem.Sink, r catalog.Report) {
	t.Helper()
	if err := catalog.PutReport(t.Context(), catalog.Named{Name: "a", Sink: in}, r); err != nil {
		t.Fatal(err)
	}
}
