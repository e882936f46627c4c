package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// TestSamplesAreFair: whatever the share and the history, so many runs as the share says look at every backup.
func TestSamplesAreFair(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, n := range []int{1, 2, 9, 10, 11, 97} {
		for share, runs := range map[string]int{"100%": 1, "50%": 2, "34%": 3, "10%": 10, "2.5%": 40, "0.01%": n} {
			for _, deep := range []bool{false, true} {
				entries := make([]catalog.Entry, n)
				for i := range entries {
					entries[i].ID = catalog.ID(fmt.Sprintf("%s-r%d-000000", start.Add(time.Duration(i)*time.Minute).Format("20060102T150405Z"), i+1))
					if deep { // what was read without opening it makes no difference
						entries[i].Reports = []catalog.Report{{Report: catalog.ReportVerify, Time: start.Add(time.Duration(-i) * time.Hour)}}
					}
				}
				part, err := parseSample(share)
				if err != nil {
					t.Fatal(err)
				}
				seen := map[catalog.ID]bool{}
				for run := range runs {
					picked := sample(entries, part, deep)
					if most := int(part*float64(n)) + 1; len(picked) < 1 || len(picked) > most {
						t.Errorf("%s of %d is %d", share, n, len(picked))
					}
					for _, p := range picked {
						seen[p.ID] = true
						for i := range entries {
							if entries[i].ID == p.ID {
								entries[i].Reports = append(entries[i].Reports, catalog.Report{Report: catalog.ReportVerify, Deep: deep && i%2 == 0, Unopened: deep && i%2 == 1, Time: start.AddDate(0, 0, run)})
							}
						}
					}
				}
				if len(seen) != n {
					t.Errorf("%d runs with %s looked at %d of %d (deep: %v)", runs, share, len(seen), n, deep)
				}
			}
		}
	}
	for _, bad := range []string{"", "%", "10", "0%", "-1%", "100.1%", "NaN%", "Inf%", "ten%", "10%%", "1e9%"} {
		if _, err := parseSample(bad); err == nil {
			t.Errorf("%q is a share", bad)
		}
	}
}

// TestAVerificationDatedInTheFutureDoesNotPutOffTheNext: the host's clock ran ahead, and the backup would not be read again before that date.
func TestAVerificationDatedInTheFutureDoesNotPutOffTheNext(t *testing.T) {
	t.Parallel()
	store := catalog.Named{Name: "mem:a", Sink: mem.New()}
	note, err := os.ReadFile("../../catalog/testdata/format1.note")
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := catalog.Decode(note, catalog.Trust{})
	if err == nil {
		err = catalog.Commit(t.Context(), store, note)
	}
	ahead := catalog.Report{Report: catalog.ReportVerify, ID: m.ID, Cluster: m.Cluster, Time: time.Now().AddDate(1, 0, 0), OK: true}
	if err == nil {
		err = catalog.PutReport(t.Context(), store, ahead)
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := catalog.List(t.Context(), []catalog.Named{store}, m.Cluster, catalog.Trust{})
	if err != nil {
		t.Fatal(err)
	}
	other := catalog.Entry{Manifest: catalog.Manifest{ID: "20990101T000000Z-r1-000000"}}
	other.Reports = []catalog.Report{{Report: catalog.ReportVerify, Time: time.Now().AddDate(0, 1, 0)}}
	if picked := sample(append(l.Entries, other), 0.5, false); picked[0].ID != m.ID {
		t.Errorf("a month from now %s is read, and not %s", picked[0].ID, m.ID)
	}
}
