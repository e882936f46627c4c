package observe_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/lifeboat-dr/lifeboat/observe"
)

// day is a moment to count from.
func day() time.Time { return time.Date(2026, 11, 20, 14, 50, 0, 0, time.UTC) }

// everything are facts that fill every metric.
func everything() observe.Facts {
	return observe.Facts{
		Newest: &observe.Backup{
			Time: day(), Took: 42 * time.Second, Plain: 5 << 20, Sealed: 1 << 20, Revision: 123456, LiveKeys: 2000, Sequence: 7, ClockAhead: -90 * time.Second, Recipients: 2,
		},
		Sinks:      []observe.Sink{{Name: "primary", Up: true, Backups: 7, Damaged: 1}, {Name: "second-site", Up: true, Backups: 5, Missing: 2}, {Name: "third"}},
		Restorable: 6, Proven: 2, Frozen: 3, Hidden: 1, Unreadable: 4, Gaps: 5,
		Suspect:      map[observe.Reason]int{observe.Revision: 2, observe.LiveKeys: 1},
		Succeeded:    map[observe.Check]time.Time{observe.Verify: day().Add(time.Hour), observe.Rehearse: day().Add(1500 * time.Millisecond)},
		Failed:       map[observe.Check]bool{observe.DeepVerify: true},
		Rehearsal:    map[string]time.Duration{"total": 90 * time.Second, "boot": 1250 * time.Millisecond, "other": time.Second},
		Certificates: map[observe.Role]time.Time{observe.Client: day().AddDate(0, 0, 20), observe.CA: day().AddDate(9, 0, 0)},
		Attention:    map[string]bool{"clock": true}, RecipientsChanged: true, Unsigned: true,
	}
}

func wanted() observe.Plan {
	return observe.Plan{BackupEvery: 15 * time.Minute, CheckEvery: map[observe.Check]time.Duration{observe.Verify: 24 * time.Hour, observe.Rehearse: 25 * time.Hour}, Floor: 3}
}

func observer(every time.Duration) *observe.Observer {
	return observe.New(observe.Options{Interval: every, Limit: 10 * time.Second, Parallel: 2, Codes: []string{"clock", "suspect"}, Log: slog.New(slog.DiscardHandler)})
}

func reads(f observe.Facts, err error) func(context.Context) (observe.Facts, error) {
	return func(context.Context) (observe.Facts, error) { return f, err }
}

// all are the collectors of a service with one cluster of which everything is known, one with nothing, and one that could never be read.
func all(t *testing.T) []prometheus.Collector {
	t.Helper()
	o := observer(time.Hour)
	o.Replace([]observe.Target{
		{Cluster: "prod", Plan: wanted(), Read: reads(everything(), nil)},
		{Cluster: "empty", Read: reads(observe.Facts{}, nil)},
		{Cluster: "never", Plan: wanted(), Read: reads(observe.Facts{}, errors.New("it is on fire"))},
	})
	ctx, stop := context.WithCancel(t.Context())
	go o.Run(ctx)
	for !o.Ready() {
		synctest.Wait()
	}
	stop()
	jobs := observe.NewJobs()
	jobs.Replace([]observe.Job{{Cluster: "prod", Name: "backup", Next: day()}, {Cluster: "prod", Name: "prune"}, {Cluster: "old", Name: "backup"}}, []string{"prod", "old"})
	jobs.Replace([]observe.Job{{Cluster: "prod", Name: "backup", Next: day()}, {Cluster: "prod", Name: "prune", Next: day()}}, []string{"prod"})
	turn := observe.Turn{Cluster: "prod", Job: "backup", Outcome: observe.Done, Ended: day(), Took: time.Minute, Waited: time.Second, Next: day().Add(time.Hour)}
	jobs.Ended(turn)
	turn.Outcome, turn.Ended, turn.Next = "etcd", day().Add(time.Minute), time.Time{}
	jobs.Ended(turn)
	jobs.Ended(observe.Turn{Cluster: "prod", Job: "prune", Spared: true, Next: day().Add(2 * time.Hour)})
	turn.Cluster = "old"
	jobs.Ended(turn)
	jobs.HeartbeatFailed("prod")
	jobs.HeartbeatFailed("old")
	reloads := observe.NewReloads(day())
	reloads.Tried(false, day().Add(time.Hour))
	return []prometheus.Collector{o, jobs, reloads}
}

// TestEveryFactHasItsMetric holds the exposition to a file, the names and units to Prometheus' own rules, and docs/metrics.md to what is there, both ways.
func TestEveryFactHasItsMetric(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := prometheus.NewPedanticRegistry()
		for _, c := range all(t) {
			r.MustRegister(c)
		}
		golden, err := os.Open(filepath.Join("testdata", "everything.txt"))
		if err != nil {
			t.Fatal(err)
		}
		defer golden.Close()
		if err := testutil.GatherAndCompare(r, golden); err != nil {
			t.Error(err)
		}
		problems, err := testutil.GatherAndLint(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	})
}

// TestThePageOfMetricsNamesThemAllAndNoOther compares names and labels.
func TestThePageOfMetricsNamesThemAllAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := prometheus.NewRegistry()
		for _, c := range all(t) {
			r.MustRegister(c)
		}
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		shown := map[string]bool{"lifeboat_build_info{goversion,version}": true} // of the page around them
		for _, f := range families {
			var labels []string
			for _, l := range f.GetMetric()[0].GetLabel() {
				labels = append(labels, l.GetName())
			}
			shown[f.GetName()+braced(labels)] = true
		}
		page, err := os.ReadFile("../docs/metrics.md")
		if err != nil {
			t.Fatal(err)
		}
		told := map[string]bool{}
		for line := range strings.Lines(string(page)) {
			if name, ok := strings.CutPrefix(line, "| `lifeboat_"); ok {
				name, _, _ = strings.Cut(name, "`")
				told["lifeboat_"+name] = true
			}
		}
		for name := range shown {
			if !told[name] {
				t.Errorf("docs/metrics.md does not name %s", name)
			}
		}
		for name := range told {
			if !shown[name] {
				t.Errorf("docs/metrics.md names %s, which is not there", name)
			}
		}
	})
}

func braced(labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	return "{" + strings.Join(labels, ",") + "}"
}
