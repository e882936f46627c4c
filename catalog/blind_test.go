package catalog

import (
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// TestALineageThatBeganInAnEmptySinkIsJudgedBesideTheOlder: it was written as the first of all, which it is not.
func TestALineageThatBeganInAnEmptySinkIsJudgedBesideTheOlder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		etcd           HexID
		revision, keys int64
		doubt          string
	}{
		"the same cluster, only another sink": {0xa, 300, 1000, ""},
		"wiped by the same script":            {0xa, 5, 1000, "the revision went back from 150"},
		"wiped, another cluster id":           {0xb, 300, 1000, "the etcd cluster id is b"},
		"nearly empty":                        {0xa, 300, 10, "of 1000 live keys"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
			both := []Named{a, b}
			backupAt(t, []Named{a}, 0, 0xa, 100, 1000, key{})
			good := backupAt(t, []Named{a}, 15, 0xa, 150, 1000, key{})
			first := backupAt(t, []Named{b}, 30, c.etcd, c.revision, c.keys, key{})
			second := backupAt(t, []Named{b}, 45, c.etcd, c.revision+1, c.keys, key{})
			if l := list(t, []Named{b}, Trust{}); len(l.Entries[0].Doubts) > 0 {
				t.Errorf("alone it is suspect: %q", l.Entries[0].Doubts)
			}
			latest, doubts := second, c.doubt != ""
			if doubts {
				latest = good
			}
			l := list(t, both, Trust{})
			if e, _, err := l.Resolve("latest", day0()); err != nil || e.ID != latest {
				t.Errorf("latest is %s (%v), want %s", e.ID, err, latest)
			}
			for _, e := range l.Entries[2:] {
				if got := strings.Join(e.Doubts, "; "); (got != "") != doubts || !strings.Contains(got, c.doubt) {
					t.Errorf("%s: doubts %q", e.ID, got)
				}
			}
			// What continues it with both in sight is suspect for the same reason, in its own manifest.
			third := backupAt(t, both, 60, c.etcd, c.revision+2, c.keys, key{})
			l = list(t, both, Trust{})
			if e := l.Entries[4]; e.ID != third || e.Lineage.First != first || !strings.Contains(strings.Join(e.Suspect.Reasons, "; "), c.doubt) {
				t.Errorf("the next: %+v", e.Manifest)
			}
			if doubts {
				l.Entries[3].Accepted = true
				if e, _, err := l.Without().Resolve("latest", day0()); err != nil || e.ID != third {
					t.Errorf("after a person accepted it: latest is %s, %v", e.ID, err)
				}
			}
		})
	}
}

// TestAFirstBackupDatedInTheFutureIsNotTakenForALaterOne: those that came after it name it, whatever the dates say.
func TestAFirstBackupDatedInTheFutureIsNotTakenForALaterOne(t *testing.T) {
	t.Parallel()
	a := []Named{{"mem:a", mem.New()}}
	ahead := backupAt(t, a, 60*24, 0xa, 100, 1000, key{})
	backupAt(t, a, 15, 0xb, 150, 1000, key{})
	if l := list(t, a, Trust{}); l.Entries[1].ID != ahead || len(l.Entries[1].Doubts) > 0 || len(l.Entries[0].Doubts) == 0 {
		t.Errorf("%s: %q; %s: %q", l.Entries[0].ID, l.Entries[0].Doubts, l.Entries[1].ID, l.Entries[1].Doubts)
	}
}

// TestALineageThatGoesOnDoesNotVouchForTheOneThatBeganBlind: what it names as its predecessor later, since that is the newest in sight, was not
// there when it began.
func TestALineageThatGoesOnDoesNotVouchForTheOneThatBeganBlind(t *testing.T) {
	t.Parallel()
	a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
	both := []Named{a, b}
	backupAt(t, []Named{a}, 0, 0xa, 100, 1000, key{})
	other := backupAt(t, []Named{b}, 15, 0xb, 40, 20, key{})
	for minute := 30; minute <= 60; minute += 15 {
		own := backupAt(t, both, minute, 0xa, int64(100+minute), 1000, key{})
		l := list(t, both, Trust{})
		if e, _, err := l.Resolve("latest", day0()); err != nil || e.ID != own || len(e.Suspect.Reasons) > 0 {
			t.Errorf("latest is %s (%v), suspect %q, want %s", e.ID, err, e.Suspect.Reasons, own)
		}
		if e, err := l.byID(string(other)); err != nil || len(e.Doubts) == 0 {
			t.Errorf("%s: doubts %q, %v", other, e.Doubts, err)
		}
	}
}

// TestTwoWritersWithASinkEachAreNotSuspectTogether: that the older history goes on is no step back of the one that began beside it.
func TestTwoWritersWithASinkEachAreNotSuspectTogether(t *testing.T) {
	t.Parallel()
	a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
	for minute := 0; minute <= 120; minute += 30 {
		backupAt(t, []Named{a}, minute, 0xa, int64(100+minute), int64(1000+100*minute), key{})
		if minute > 0 {
			backupAt(t, []Named{b}, minute+10, 0xa, int64(110+minute), int64(1000+100*minute), key{})
		}
	}
	for _, e := range list(t, []Named{a, b}, Trust{}).Entries {
		if len(e.Doubts) > 0 {
			t.Errorf("%s: %q", e.ID, e.Doubts)
		}
	}
}

// TestRemovingItsFirstBackupDoesNotClearWhatBeganBlind: whoever prunes the one sink sees nothing that speaks against it.
func TestRemovingItsFirstBackupDoesNotClearWhatBeganBlind(t *testing.T) {
	t.Parallel()
	remove := func(s Named, id ID) {
		if err := s.Delete(t.Context(), ManifestKey("prod", id)); err != nil {
			t.Fatal(err)
		}
	}
	a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
	both := []Named{a, b}
	old := backupAt(t, []Named{a}, 0, 0xa, 100, 1000, key{})
	first := backupAt(t, []Named{b}, 15, 0xb, 5, 1000, key{})
	var last ID
	for minute := 30; minute <= 60; minute += 15 { // long past what was before
		last = backupAt(t, []Named{b}, minute, 0xb, int64(100*minute), 1000, key{})
	}
	remove(b, first)
	wantLatest := func(want ID) {
		t.Helper()
		if e, _, err := list(t, both, Trust{}).Resolve("latest", day0()); err != nil || e.ID != want {
			t.Errorf("latest is %s (%v), want %s", e.ID, err, want)
		}
	}
	wantLatest(old)
	// The older lineage goes on, and is pruned by itself.
	own := backupAt(t, []Named{a}, 75, 0xa, 200, 1000, key{})
	remove(a, old)
	wantLatest(own)
	// A person's word ends it, also once nothing is left of what it was said about.
	if err := PutMark(t.Context(), b, Mark{ID: last, Cluster: "prod", Mark: MarkAccept, Time: day0()}); err != nil {
		t.Fatal(err)
	}
	wantLatest(last)
	next := backupAt(t, []Named{b}, 90, 0xb, 9500, 1000, key{})
	remove(b, last)
	wantLatest(next)
}

// TestASecondLineageThatBeganBlindIsNoBetterThanTheFirst: it would go on from one that is suspect only beside the oldest.
func TestASecondLineageThatBeganBlindIsNoBetterThanTheFirst(t *testing.T) {
	t.Parallel()
	a, b, c := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}, Named{"mem:c", mem.New()}
	good := backupAt(t, []Named{a}, 0, 0xa, 100, 1000, key{})
	backupAt(t, []Named{b}, 15, 0xa, 5, 10, key{})
	backupAt(t, []Named{c}, 30, 0xa, 6, 10, key{})
	l := list(t, []Named{a, b, c}, Trust{})
	if e, _, err := l.Resolve("latest", day0()); err != nil || e.ID != good || len(l.Entries[2].Doubts) == 0 {
		t.Errorf("latest is %s (%v); doubts of the last: %q", e.ID, err, l.Entries[2].Doubts)
	}
}

// TestTwoFirstBackupsAtOnceAreNotSuspect although the clocks of their hosts are minutes apart.
func TestTwoFirstBackupsAtOnceAreNotSuspect(t *testing.T) {
	t.Parallel()
	a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
	both := []Named{a, b}
	backupAt(t, []Named{a}, 0, 0xa, 103, 1000, key{}) // as if each had looked before the other was there
	backupAt(t, []Named{b}, 6, 0xa, 100, 1000, key{})
	for minute := 15; minute <= 45; minute += 15 {
		backupAt(t, both, minute, 0xa, int64(200+minute), 1000, key{})
	}
	for _, e := range list(t, both, Trust{}).Entries {
		if len(e.Doubts) > 0 {
			t.Errorf("%s: %q", e.ID, e.Doubts)
		}
	}
}
