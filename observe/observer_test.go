package observe_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lifeboat-dr/lifeboat/observe"
)

// values are the series of a collector, as "name{label,…}", by cluster.
func values(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			all[strings.TrimPrefix(f.GetName(), "lifeboat_")+braced(labels)] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

func TestWhatWasKnownStaysWhileNothingCanBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var err error
		o := observe.New(observe.Options{Interval: time.Minute, Limit: 10 * time.Second, Parallel: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
		o.Replace([]observe.Target{{Cluster: "a", Read: func(context.Context) (observe.Facts, error) { return everything(), err }}})
		go o.Run(t.Context())
		time.Sleep(5 * time.Second)
		synctest.Wait()
		before := values(t, o)
		if before["observation_success{a}"] != 1 || before["backup_revision{a}"] != 123456 || before["sink_up{a,primary}"] != 1 {
			t.Fatalf("it shows %v", before)
		}
		err = errors.New("connection refused")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		after := values(t, o)
		for name, was := range before {
			switch is, there := after[name]; {
			case name == "observation_success{a}" || strings.HasPrefix(name, "sink_up"):
				if is != 0 {
					t.Errorf("%s is %v", name, is)
				}
			case name == "observation_timestamp_seconds{a}": // of the last one that succeeded
			case !there || is != was:
				t.Errorf("%s was %v and is %v", name, was, is)
			}
		}
		if before["observation_timestamp_seconds{a}"]+120 < after["observation_timestamp_seconds{a}"] {
			t.Error("a reading that failed counts as one")
		}
		err = nil
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if values(t, o)["sink_up{a,primary}"] != 1 {
			t.Error("it did not come back")
		}
		if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "connection refused") || !strings.Contains(log.String(), "can be read again") {
			t.Errorf("the log is\n%s", &log)
		}
	})
}

// TestOneThatHangsHoldsUpNoOther: a call that heeds nothing, as one into a volume that is gone.
func TestOneThatHangsHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observer(time.Minute)
		var hung, panicked, good atomic.Int64
		forever := make(chan struct{})
		o.Replace([]observe.Target{
			{Cluster: "hangs", Read: func(context.Context) (observe.Facts, error) { hung.Add(1); <-forever; return observe.Facts{}, nil }},
			{Cluster: "hangs-too", Read: func(context.Context) (observe.Facts, error) { hung.Add(1); <-forever; return observe.Facts{}, nil }},
			{Cluster: "panics", Read: func(context.Context) (observe.Facts, error) { panicked.Add(1); panic("no map") }},
			{Cluster: "good", Read: func(context.Context) (observe.Facts, error) { good.Add(1); return observe.Facts{}, nil }},
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { o.Run(ctx); close(ended) }()
		time.Sleep(10 * time.Minute)
		if hung.Load() != 2 || panicked.Load() < 9 || good.Load() < 9 {
			t.Errorf("it read %d times of those that hang, %d times of the one that panics, and %d times of the good one", hung.Load(), panicked.Load(), good.Load())
		}
		if v := values(t, o); v["observation_success{good}"] != 1 || v["observation_success{hangs}"] != 0 || !o.Ready() {
			t.Errorf("it shows %v", v)
		}
		began := time.Now()
		stop()
		<-ended
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %s to end", took)
		}
		close(forever)
	})
}

// TestManyThatTakeForEverHoldUpNoOther: the sinks of many list without an end, which nothing but the limit ends.
func TestManyThatTakeForEverHoldUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observe.New(observe.Options{Interval: time.Minute, Limit: 2 * time.Minute, Parallel: 8, Log: slog.New(slog.DiscardHandler)})
		var good, endless atomic.Int64
		targets := []observe.Target{{Cluster: "good", Read: func(context.Context) (observe.Facts, error) { good.Add(1); return observe.Facts{}, nil }}}
		for i := range 200 {
			targets = append(targets, observe.Target{Cluster: fmt.Sprint("endless", i), Read: func(ctx context.Context) (observe.Facts, error) {
				endless.Add(1)
				<-ctx.Done()
				return observe.Facts{}, ctx.Err()
			}})
		}
		o.Replace(targets)
		go o.Run(t.Context())
		time.Sleep(time.Hour) // by then all were tried
		before, others := good.Load(), endless.Load()
		time.Sleep(time.Hour)
		if n := good.Load() - before; n < 55 {
			t.Errorf("the good one was read %d times in an hour", n)
		}
		if n := endless.Load() - others; n < 100 {
			t.Errorf("the others were tried %d times in an hour", n)
		}
	})
}

func TestManyClustersAreSpreadOverTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observer(time.Minute)
		var mu sync.Mutex
		var at []time.Duration
		began := time.Now()
		var targets []observe.Target
		for i := range 500 {
			targets = append(targets, observe.Target{Cluster: fmt.Sprint("c", i), Read: func(context.Context) (observe.Facts, error) {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Since(began))
				return observe.Facts{}, nil
			}})
		}
		o.Replace(targets)
		go o.Run(t.Context())
		time.Sleep(10*time.Minute - time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if n := len(at); n < 500*9 || n > 500*11 {
			t.Errorf("%d readings in ten minutes", n)
		}
		for second := 120 * time.Second; second < 540*time.Second; second += time.Second {
			n := 0
			for _, t := range at {
				if t >= second && t < second+time.Second {
					n++
				}
			}
			if n > 25 { // 8 on average
				t.Errorf("%d readings in the second after %s", n, second)
			}
		}
	})
}

func TestAnotherConfigurationIsReadAtOnceAndWhatIsGoneVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observer(time.Hour)
		var mu sync.Mutex // guards counts, as clusters are read side by side
		counts := map[string]int{}
		target := func(name string, f observe.Facts) observe.Target {
			return observe.Target{Cluster: name, Read: func(context.Context) (observe.Facts, error) {
				mu.Lock()
				defer mu.Unlock()
				counts[name]++
				return f, nil
			}}
		}
		if o.Replace([]observe.Target{target("stays", everything()), target("goes", everything())}); o.Ready() {
			t.Error("it is ready before anything was read")
		}
		go o.Run(t.Context())
		synctest.Wait()
		fewer := everything()
		fewer.Sinks = fewer.Sinks[:1]
		o.Replace([]observe.Target{target("stays", fewer), target("new", observe.Facts{})})
		if !o.Ready() {
			t.Error("a cluster that came later made it not ready")
		}
		synctest.Wait()
		for name := range values(t, o) {
			if strings.Contains(name, "goes") || strings.Contains(name, "second-site") {
				t.Errorf("%s is still shown", name)
			}
		}
		o.Again("stays")
		o.Again("goes")
		synctest.Wait()
		if want := map[string]int{"stays": 3, "goes": 1, "new": 1}; fmt.Sprint(counts) != fmt.Sprint(want) {
			t.Errorf("it read %v", counts)
		}
	})
}

func TestWhatIsNotPlannedAnyMoreIsNotShown(t *testing.T) {
	t.Parallel()
	j := observe.NewJobs()
	job := observe.Job{Cluster: "a", Name: "backup", Next: day()}
	j.Replace([]observe.Job{job}, []string{"a"})
	j.Ended(observe.Turn{Cluster: "a", Job: "backup", Outcome: "sink", Ended: day(), Next: day()})
	if v := values(t, j); v["job_runs_total{a,done,backup}"] != 0 || v["job_runs_total{a,sink,backup}"] != 1 || len(v) != 7 {
		t.Errorf("it shows %v", v)
	}
	j.Replace(nil, nil)
	j.Ended(observe.Turn{Cluster: "a", Job: "backup", Outcome: observe.Done, Ended: day(), Next: day()}) // it ran on
	j.HeartbeatFailed("a")
	if v := values(t, j); len(v) != 0 {
		t.Errorf("it shows %v", v)
	}
}

// TestAHeartbeatGoesWithItsCluster, also where that has no job that is planned.
func TestAHeartbeatGoesWithItsCluster(t *testing.T) {
	t.Parallel()
	j := observe.NewJobs()
	j.Replace(nil, []string{"idle", "stays"})
	j.HeartbeatFailed("stays")
	j.Replace(nil, []string{"stays"})
	j.HeartbeatFailed("idle") // by a job that ran on
	if v := values(t, j); len(v) != 1 || v["heartbeat_failures_total{stays}"] != 1 {
		t.Errorf("it shows %v", v)
	}
}

func TestAPhaseThatIsNotKnownIsAnother(t *testing.T) {
	t.Parallel()
	var all []string
	for _, name := range []string{"boot", "total", "teleport", ""} {
		all = append(all, observe.PhaseOf(name))
	}
	if !slices.Equal(all, []string{"boot", "other", "other", "other"}) {
		t.Errorf("they are %q", all)
	}
}
