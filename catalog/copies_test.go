package catalog

import (
	"strings"
	"testing"
)

// TestABackupIsLostOnlyWhenNoSinkMayHaveAWholeCopy: one copy that may be whole is enough, and damage is over once as deep a look says so.
func TestABackupIsLostOnlyWhenNoSinkMayHaveAWholeCopy(t *testing.T) {
	t.Parallel()
	looked := func(minute int, deep bool, bad string, sinks ...string) Report {
		r := reportAt(id1, minute, ReportVerify, bad == "", deep)
		for _, s := range sinks {
			r.Sinks = append(r.Sinks, SinkResult{Sink: s, OK: !strings.Contains(bad, s)})
		}
		return r
	}
	rehearsed := func(minute int, ok bool) Report { return reportAt(id1, minute, ReportRehearse, ok, false) }
	for name, c := range map[string]struct {
		lacking  string
		reports  []Report
		faults   int
		lost     bool
		rehearse bool // broken only by its rehearsal
	}{
		"nothing known":                         {"", nil, 0, false, false},
		"one payload is missing":                {"a", nil, 1, false, false},
		"both are missing":                      {"ab", nil, 2, true, false},
		"one found damaged":                     {"", []Report{looked(1, false, "a", "a", "b")}, 1, false, false},
		"both found damaged":                    {"", []Report{looked(1, false, "ab", "a", "b")}, 2, true, false},
		"found damaged one after the other":     {"", []Report{looked(1, false, "a", "a"), looked(2, true, "b", "b")}, 2, true, false},
		"one damaged, the other missing":        {"b", []Report{looked(1, false, "a", "a")}, 2, true, false},
		"repaired, and the digest is right":     {"", []Report{looked(1, false, "ab", "a", "b"), looked(2, true, "", "a", "b")}, 0, false, false},
		"both found damaged, and one repaired":  {"", []Report{looked(1, false, "ab", "a", "b"), looked(2, false, "", "a")}, 1, false, false},
		"wrong inside, whatever the digest":     {"", []Report{looked(1, true, "a", "a"), looked(2, false, "", "a", "b")}, 1, false, false},
		"damaged, and rehearsed later":          {"b", []Report{looked(1, false, "a", "a"), rehearsed(2, true)}, 2, false, false},
		"rehearsed, and damaged later":          {"b", []Report{rehearsed(1, true), looked(2, false, "a", "a")}, 2, true, false},
		"the rehearsal failed":                  {"", []Report{rehearsed(1, false)}, 0, false, true},
		"the rehearsal failed, and opened well": {"", []Report{rehearsed(1, false), looked(2, true, "", "a")}, 0, false, false},
		"sinks that are no longer ours":         {"", []Report{looked(1, false, "c", "c")}, 0, false, false},
		"one by another name":                   {"", []Report{looked(1, false, "ac", "a", "c")}, 1, true, false},
		"both by other names":                   {"", []Report{looked(1, false, "cd", "c", "d")}, 0, true, false},
	} {
		e := Entry{Sinks: []string{"a", "b"}, Reports: c.reports}
		for _, s := range c.lacking {
			e.Lacking = append(e.Lacking, Fault{string(s), "payload missing"})
		}
		if got := e.Faults(); len(got) != c.faults || (e.Lost() != "") != c.lost || (e.Broken() != "") != (c.lost || c.rehearse) {
			t.Errorf("%s: faults %v, lost %q, broken %q", name, got, e.Lost(), e.Broken())
		}
	}
}

// TestARehearsalDatedInTheFutureDoesNotHideALoss: it was of a copy that was whole then, and the reports lie in the order in which they were made.
func TestARehearsalDatedInTheFutureDoesNotHideALoss(t *testing.T) {
	t.Parallel()
	ahead := reportAt(id1, 60*24, ReportRehearse, true, false)
	found := reportAt(id1, 10, ReportVerify, false, false)
	found.Sinks = []SinkResult{{Sink: "a"}}
	e := Entry{Sinks: []string{"a", "b"}, Reports: []Report{ahead, found}, Lacking: []Fault{{"b", "payload missing"}}}
	if e.Lost() == "" || e.Broken() == "" {
		t.Errorf("lost %q, broken %q", e.Lost(), e.Broken())
	}
	e.Reports = []Report{found, ahead}
	if e.Lost() != "" {
		t.Errorf("damage that a rehearsal came after: lost %q", e.Lost())
	}
}
