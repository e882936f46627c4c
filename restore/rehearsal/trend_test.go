package rehearsal

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// past are reports of the past with these recovery times, newest first, all passed on three members.
func past(seconds ...float64) (all catalog.PastReports) {
	for i, s := range seconds {
		all.Reports = append(all.Reports, catalog.Report{
			ID: "i", OK: true, Time: time.Date(2026, 11, 20-i, 3, 0, 0, 0, time.UTC), EtcdVersions: []string{"3.7.3"},
			Rehearsal: &catalog.Rehearsal{Members: 3, RTOSeconds: s, PlainBytes: int64(s) << 20},
		})
	}
	return all
}

func TestRecoveryIsComparedWithThoseBefore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		took  float64
		past  catalog.PastReports
		grown bool
		says  string
	}{
		"none before":           {took: 99, past: past(), says: ""},
		"one before":            {took: 99, past: past(10.04), says: "the one before: 10.0 s"},
		"two are too few":       {took: 99, past: past(10, 20), says: "the 2 before: 10.0–20.0 s, median 15.0 s"},
		"as ever":               {took: 12.3, past: past(14, 10.1, 11.2), says: "the 3 before: 10.1–14.0 s, median 11.2 s"},
		"half as much again":    {took: 15, past: past(10, 10, 10), says: "the 3 before: 10.0–10.0 s, median 10.0 s"},
		"more than that":        {took: 15.1, past: past(10, 10, 10), grown: true, says: "the 3 before: 10.0–10.0 s, median 10.0 s"},
		"of next to nothing":    {took: 4.9, past: past(0.1, 0.1, 0.1), says: "the 3 before: 0.1–0.1 s, median 0.1 s"},
		"one that took long":    {took: 30, past: past(300, 10, 10, 10), grown: true, says: "the 4 before: 10.0–300.0 s, median 10.0 s"},
		"quicker than ever":     {took: 1, past: past(10, 10, 10), says: "the 3 before: 10.0–10.0 s, median 10.0 s"},
		"in the middle of four": {took: 1, past: past(1, 2, 4, 8), says: "the 4 before: 1.0–8.0 s, median 3.0 s"},
	} {
		r := &Report{Passed: true, Members: 3, RTOSeconds: c.took}
		r.Follow(c.past)
		if r.Trend.Grown != c.grown || r.Trend.String() != c.says || len(r.Trend.Runs) != len(c.past.Reports) {
			t.Errorf("%s: grown is %t, %q", name, r.Trend.Grown, r.Trend)
		}
		var table bytes.Buffer
		if err := r.Table(&table); err != nil || strings.Contains(table.String(), "trend:       "+c.says+"\n") != (c.says != "") {
			t.Errorf("%s: %v\n%s", name, err, &table)
		}
	}
}

// TestOnlyTheLikeIsCompared leaves out what failed, other numbers of members, and reports that do not tell.
func TestOnlyTheLikeIsCompared(t *testing.T) {
	t.Parallel()
	p := past(1, 2, 3, 10, 10, 10)
	p.Reports[0].OK = false
	p.Reports[1].Rehearsal.Members = 1
	p.Reports[2].Rehearsal = nil
	p.Ignored = 4
	r := &Report{Passed: true, Members: 3, RTOSeconds: 20}
	r.Follow(p)
	if got := r.Trend; got.Compared != 3 || got.MinSeconds != 10 || !got.Grown || len(got.Runs) != 5 || got.Ignored != 4 || got.MedianBytes() != 10<<20 {
		t.Errorf("%+v", got)
	}
	if first, last := r.Trend.Runs[0], r.Trend.Runs[4]; !first.Time.Before(last.Time) || last.Passed || last.Compared || !first.Compared {
		t.Errorf("%+v", r.Trend.Runs)
	}
	failed := &Report{Members: 3, RTOSeconds: 20}
	if failed.Follow(p); failed.Trend.Grown {
		t.Error("one that failed on the way is said to take longer")
	}
}
