package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// day0 is when the stories below begin.
func day0() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

// A step is one backup of a story, told in minutes after day0.
type step struct {
	start, end int   // minutes
	cluster    HexID // etcd's id
	revision   int64
	keys       int64
	accepted   bool // a person accepts the lineage after this step

	lineage int    // wanted: the step (from 0) that began its lineage
	suspect string // wanted: words of the reason; none if not suspect
}

// tell plays a story; visible says which earlier steps a step's writer sees, nil meaning those that are complete.
func tell(t *testing.T, story []step, visible func(i, j int) bool) {
	t.Helper()
	var ids []ID
	var all []Entry
	for i, s := range story {
		start := day0().Add(time.Duration(s.start) * time.Minute)
		id := ID(fmt.Sprintf("%s-r%d-%06x", start.Format(idTime), s.revision, i))
		ids = append(ids, id)
		m := Manifest{
			ID: id, Started: start, Finished: day0().Add(time.Duration(s.end) * time.Minute), Revision: s.revision, LiveKeys: s.keys,
			Lineage: Lineage{EtcdClusterID: s.cluster},
		}
		var seen []Entry
		for j := range all {
			if visible == nil || visible(i, j) {
				seen = append(seen, all[j])
			}
		}
		lineage, suspect := Continue(sorted(seen), m)
		if want := (Lineage{ids[s.lineage], s.cluster}); lineage != want {
			t.Errorf("step %d: lineage %v, want %v", i, lineage, want)
		}
		if got := strings.Join(Reasons(suspect), "; "); (got == "") != (s.suspect == "") || !strings.Contains(got, s.suspect) {
			t.Errorf("step %d: suspect %q, want %q", i, got, s.suspect)
		}
		for _, d := range suspect {
			if want := codeOf(d.Reason); d.Code != want {
				t.Errorf("step %d: %q has the code %s, want %s", i, d.Reason, d.Code, want)
			}
		}
		m.Lineage, m.Suspect = lineage, suspectOf(suspect)
		all = append(all, Entry{Manifest: m, Accepted: s.accepted})
	}
}

// codeOf is the code that belongs to a sentence.
func codeOf(reason string) DoubtCode {
	for words, code := range map[string]DoubtCode{"cluster id": DoubtClusterID, "the revision went back": DoubtRevision, "live keys in": DoubtLiveKeys} {
		if strings.Contains(reason, words) {
			return code
		}
	}
	return DoubtOther
}

func sorted(entries []Entry) []Entry {
	return slices.SortedFunc(slices.Values(entries), func(a, b Entry) int { return compareIDs(a.ID, b.ID) })
}

func TestLineages(t *testing.T) {
	t.Parallel()
	for name, story := range map[string][]step{
		"an ordinary week": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: 15, end: 16, cluster: 0xa, revision: 150, keys: 1010},
			{start: 30, end: 31, cluster: 0xa, revision: 150, keys: 1010}, // nothing happened
			{start: 45, end: 46, cluster: 0xa, revision: 300, keys: 505},  // just half
		},
		"wiped, another cluster id": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: 15, end: 16, cluster: 0xb, revision: 1, keys: 0, lineage: 1, suspect: "cluster id is b, and was a"},
			{start: 30, end: 31, cluster: 0xb, revision: 20, keys: 10, lineage: 1, suspect: "cluster id is b, and was a"}, // sticky
		},
		"wiped by the same script": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: 15, end: 16, cluster: 0xa, revision: 5, keys: 900, lineage: 1, suspect: "revision went back from 100"},
			{start: 30, end: 31, cluster: 0xa, revision: 20, keys: 1000, lineage: 1, suspect: "revision went back from 100"},
			// The revision of the old one is passed: still no continuation of it.
			{start: 45, end: 46, cluster: 0xa, revision: 101, keys: 1000, lineage: 1, suspect: "revision went back from 100"},
			{start: 60, end: 61, cluster: 0xa, revision: 100_000, keys: 9000, lineage: 1, suspect: "revision went back from 100"},
		},
		"wiped again while suspect": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: 15, end: 16, cluster: 0xa, revision: 50, keys: 900, lineage: 1, suspect: "from 100"},
			{start: 30, end: 31, cluster: 0xa, revision: 20, keys: 800, lineage: 2, suspect: "from 50"},
			{start: 45, end: 46, cluster: 0xa, revision: 50, keys: 900, lineage: 2, suspect: "from 50"},
		},
		"emptied, not wiped": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: 15, end: 16, cluster: 0xa, revision: 700, keys: 499, lineage: 1, suspect: "of 1000 live keys"},
			{start: 30, end: 31, cluster: 0xa, revision: 800, keys: 499, lineage: 1, suspect: "of 1000 live keys"},
			{start: 45, end: 46, cluster: 0xa, revision: 900, keys: 2000, lineage: 1, suspect: "of 1000 live keys"},
		},
		"restored with a bump, accepted, and on": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: 15, end: 16, cluster: 0xa, revision: 200, keys: 1000},
			{start: 30, end: 31, cluster: 0xb, revision: 1_000_000_100, keys: 1000, lineage: 2, suspect: "cluster id is b", accepted: true},
			{start: 45, end: 46, cluster: 0xb, revision: 1_000_000_200, keys: 1000, lineage: 2},
			// The old cluster is not dead after all.
			{start: 60, end: 61, cluster: 0xa, revision: 300, keys: 1000, lineage: 4, suspect: "before the lineage of"},
			{start: 75, end: 76, cluster: 0xb, revision: 1_000_000_300, keys: 1000, lineage: 2},
			{start: 90, end: 91, cluster: 0xa, revision: 310, keys: 1000, lineage: 4, suspect: "before the lineage of"},
		},
		"another cluster's writer got our name": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: 15, end: 16, cluster: 0xb, revision: 9000, keys: 10, lineage: 1, suspect: "cluster id is b, and was a"},
			{start: 30, end: 31, cluster: 0xa, revision: 150, keys: 1000},
			{start: 45, end: 46, cluster: 0xb, revision: 9100, keys: 10, lineage: 1, suspect: "cluster id is b, and was a"},
			{start: 60, end: 61, cluster: 0xa, revision: 200, keys: 1000},
		},
		"a restore undone": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: 15, end: 16, cluster: 0xb, revision: 90, keys: 1000, lineage: 1, suspect: "cluster id is b, and was a"},
			{start: 30, end: 31, cluster: 0xa, revision: 101, keys: 1000}, // never accepted, so the old one is still it
		},
		"accepted twice over": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: 15, end: 16, cluster: 0xb, revision: 10, keys: 1, lineage: 1, suspect: "cluster id is b", accepted: true},
			{start: 30, end: 31, cluster: 0xc, revision: 10, keys: 1, lineage: 2, suspect: "cluster id is c, and was b", accepted: true},
			{start: 45, end: 46, cluster: 0xb, revision: 20, keys: 1, lineage: 3, suspect: "before the lineage of"},
			{start: 60, end: 61, cluster: 0xc, revision: 10, keys: 1, lineage: 2},
		},
		"both went wrong at once": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: 15, end: 16, cluster: 0xa, revision: 99, keys: 499, lineage: 1, suspect: "revision went back from 100 in 20261120T120000Z-r100-000000 to 99; of 1000 live keys in 20261120T120000Z-r100-000000 only 499 are left"},
		},
		"the highest counts, not the newest": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: 15, end: 20, cluster: 0xa, revision: 200, keys: 1000},
			{start: 16, end: 17, cluster: 0xa, revision: 190, keys: 1000}, // raced with the one before
			{start: 30, end: 31, cluster: 0xa, revision: 195, keys: 1000, lineage: 3, suspect: "from 200"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tell(t, story, nil)
		})
	}
}

func TestRacingWritersAreNotSuspect(t *testing.T) {
	t.Parallel()
	// The second starts later, reads a later revision, and is finished first.
	tell(t, []step{
		{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
		{start: 16, end: 17, cluster: 0xa, revision: 160, keys: 2500},
		{start: 15, end: 25, cluster: 0xa, revision: 155, keys: 1000},
		{start: 30, end: 31, cluster: 0xa, revision: 160, keys: 2500},
	}, nil)
	// Two at once, neither seeing the other's; and likewise the first two of all.
	unseen := func(i, j int) bool { return i/2 != j/2 }
	tell(t, []step{
		{start: 0, end: 5, cluster: 0xa, revision: 100, keys: 1000},
		{start: 1, end: 5, cluster: 0xa, revision: 101, keys: 1000, lineage: 1},
		{start: 15, end: 20, cluster: 0xa, revision: 150, keys: 1000, lineage: 1},
		{start: 15, end: 20, cluster: 0xa, revision: 149, keys: 1000, lineage: 1},
		{start: 30, end: 35, cluster: 0xa, revision: 150, keys: 1000, lineage: 1},
	}, unseen)
}

func TestClocksThatJumpHideNoWipe(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * 60
	for name, story := range map[string][]step{
		"into the past": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: -year, end: -year + 1, cluster: 0xa, revision: 5, keys: 10, lineage: 1, suspect: "from 100"},
			// The lineage begun in the past is not the newest by name: compared with the old one, so suspect again.
			{start: 30, end: 31, cluster: 0xa, revision: 9, keys: 10, lineage: 2, suspect: "from 100"},
			{start: 45, end: 46, cluster: 0xa, revision: 10, keys: 10, lineage: 2, suspect: "from 100"},
		},
		"into the past, nothing lost": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: -year, end: -year + 1, cluster: 0xa, revision: 110, keys: 1000},
			{start: 30, end: 31, cluster: 0xa, revision: 120, keys: 1000},
		},
		"into the future": {
			{start: 0, end: 1, cluster: 0xa, revision: 100, keys: 1000},
			{start: year, end: year + 1, cluster: 0xa, revision: 110, keys: 1000},
			{start: 30, end: 31, cluster: 0xa, revision: 120, keys: 1000},
			{start: 45, end: 46, cluster: 0xa, revision: 115, keys: 1000, lineage: 3, suspect: "from 120"},
			{start: 60, end: 61, cluster: 0xb, revision: 115, keys: 1000, lineage: 4, suspect: "cluster id is b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tell(t, story, nil)
		})
	}
}

func TestContinuingChangesNothingItWasGiven(t *testing.T) {
	t.Parallel()
	e := Entry{Manifest: sample(id1)}
	before := cmp.Diff(Entry{}, e)
	m := sample("20261120T150500Z-r5-000000")
	_, doubts := Continue([]Entry{e}, m)
	if len(doubts) > 0 {
		doubts[0].Reason = "changed"
	}
	if after := cmp.Diff(Entry{}, e); after != before {
		t.Error("the entries were changed")
	}
}
