package rehearsal

import (
	"fmt"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// A Trend compares how long this recovery took with how long those before it did, as their reports in the sinks tell. Only those that
// passed are compared with, on as many members: another number takes another time.
type Trend struct {
	Runs     []PastRun `json:"runs"`     // the rehearsals of the cluster before this one that told their figures, oldest first
	Compared int       `json:"compared"` // how many of them are compared with
	// The figures are of those that are compared with; 0 if there are none.
	MinSeconds    float64 `json:"min_seconds"`
	MedianSeconds float64 `json:"median_seconds"`
	MaxSeconds    float64 `json:"max_seconds"`
	Grown         bool    `json:"grown"`   // this recovery took so much longer that a person should know
	Ignored       int     `json:"ignored"` // reports without the signature of a trusted key, where keys are trusted
}

// PastRun is a rehearsal of the past.
type PastRun struct {
	Backup       string    `json:"backup"` // its id
	Time         time.Time `json:"time"`   // when its report was written
	Passed       bool      `json:"passed"`
	Members      int       `json:"members"`
	RTOSeconds   float64   `json:"rto_seconds"`
	PlainBytes   int64     `json:"plain_bytes"`
	EtcdVersions []string  `json:"etcd_versions"`
	Compared     bool      `json:"compared"` // it is among those that this one is compared with
}

// A recovery has grown if it took growth times the median of fewestCompared at least, and leastGrowth longer: of half a second
// that became a whole one nobody wants to hear.
const (
	growth         = 1.5
	fewestCompared = 3
	leastGrowth    = 5 * time.Second
)

// Follow fills the trend from the reports of the rehearsals before, in any order. It is called when the rehearsal is over.
func (r *Report) Follow(past catalog.PastReports) {
	t := &Trend{Runs: []PastRun{}, Ignored: past.Ignored}
	var seconds []float64
	for _, p := range past.Reports {
		if p.Rehearsal == nil { // from before they told
			continue
		}
		run := PastRun{
			Backup: string(p.ID), Time: p.Time, Passed: p.OK, Members: p.Rehearsal.Members, RTOSeconds: p.Rehearsal.RTOSeconds,
			PlainBytes: p.Rehearsal.PlainBytes, EtcdVersions: p.EtcdVersions,
			Compared: p.OK && p.Rehearsal.Members == r.Members,
		}
		t.Runs = append(t.Runs, run)
		if run.Compared {
			seconds = append(seconds, run.RTOSeconds)
		}
	}
	slices.SortStableFunc(t.Runs, func(a, b PastRun) int { return a.Time.Compare(b.Time) })
	if t.Compared = len(seconds); t.Compared > 0 {
		slices.Sort(seconds)
		t.MinSeconds, t.MedianSeconds, t.MaxSeconds = seconds[0], median(seconds), seconds[len(seconds)-1]
	}
	t.Grown = r.Passed && t.Compared >= fewestCompared &&
		r.RTOSeconds > growth*t.MedianSeconds && r.RTOSeconds-t.MedianSeconds >= leastGrowth.Seconds()
	r.Trend = t
}

// median of what is sorted and not empty.
func median(sorted []float64) float64 {
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// String says in a few words what this recovery is compared with; "" if there is nothing.
func (t *Trend) String() string {
	switch {
	case t == nil || t.Compared == 0:
		return ""
	case t.Compared == 1:
		return fmt.Sprintf("the one before: %.1f s", t.MedianSeconds)
	}
	return fmt.Sprintf("the %d before: %.1f–%.1f s, median %.1f s", t.Compared, t.MinSeconds, t.MaxSeconds, t.MedianSeconds)
}

// MedianBytes is the middle size of the databases that were restored in the rehearsals this one is compared with; 0 if there are none.
func (t *Trend) MedianBytes() int64 {
	var sizes []int64
	for _, run := range t.Runs {
		if run.Compared {
			sizes = append(sizes, run.PlainBytes)
		}
	}
	if len(sizes) == 0 {
		return 0
	}
	slices.Sort(sizes)
	return sizes[len(sizes)/2]
}
