package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/lifeboat-dr/lifeboat/observe"
	"github.com/lifeboat-dr/lifeboat/scheduler"
)

// TestAfterAJobItsClusterIsReadAgain: what it left in the sinks is to be seen at once. One that was not needed left nothing.
func TestAfterAJobItsClusterIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{g: &global{streams: streams{err: io.Discard}, now: time.Now}}
		d := &display{g: s.g, jobs: observe.NewJobs(), observer: newObserver(s.g, time.Hour), reloads: observe.NewReloads(time.Now())}
		s.shown = d
		var mu sync.Mutex // guards readings, as clusters are read side by side
		readings := map[string]int{}
		var targets []observe.Target
		for _, name := range []string{"a", "b"} {
			targets = append(targets, observe.Target{Cluster: name, Read: func(context.Context) (observe.Facts, error) {
				mu.Lock()
				defer mu.Unlock()
				readings[name]++
				return observe.Facts{}, nil
			}})
		}
		d.observer.Replace(targets)
		d.jobs.Replace([]observe.Job{{Cluster: "a", Name: "backup"}, {Cluster: "b", Name: "backup"}}, nil)
		go d.observer.Run(t.Context())
		synctest.Wait()
		for _, e := range []scheduler.Event{
			{Cluster: "a", Job: "backup", Took: time.Second},
			{Cluster: "b", Job: "backup", Fresh: true},
			{Cluster: "a", Job: "backup", Err: &ending{exitEtcd, errors.New("it is down")}},
			{Cluster: "a", Job: "backup", Err: errors.New("panic")},
		} {
			s.tell(e)
			synctest.Wait()
		}
		if fmt.Sprint(readings) != "map[a:4 b:1]" {
			t.Errorf("the clusters were read %v times", readings)
		}
		r := prometheus.NewRegistry()
		r.MustRegister(d.jobs)
		want := `# HELP lifeboat_job_runs_total Runs of a job since the start of the process, by how they ended.
# TYPE lifeboat_job_runs_total counter
lifeboat_job_runs_total{cluster="a",outcome="done",task="backup"} 1
lifeboat_job_runs_total{cluster="a",outcome="etcd",task="backup"} 1
lifeboat_job_runs_total{cluster="a",outcome="unexpected",task="backup"} 1
lifeboat_job_runs_total{cluster="b",outcome="done",task="backup"} 0
`
		if err := testutil.GatherAndCompare(r, strings.NewReader(want), "lifeboat_job_runs_total"); err != nil {
			t.Error(err)
		}
	})
}

func TestAServiceThatServesNothingTellsAllTheSame(t *testing.T) {
	t.Parallel()
	s := &service{g: &global{streams: streams{err: io.Discard}, now: time.Now}}
	d, err := s.display(t.Context(), t.Context())
	if err != nil || d.jobs != nil || d.observer != nil {
		t.Fatalf("it shows %+v, %v", d, err)
	}
	d.replace(&configFile{}, nil)
	s.tell(scheduler.Event{Cluster: "a", Job: "backup"})
	d.heartbeatFailed("a")
}
