package main

import (
	"context"
	"fmt"
	"time"

	"github.com/lifeboat-dr/lifeboat/observe"
	"github.com/lifeboat-dr/lifeboat/scheduler"
)

// display is what a service shows with --listen. A service without it has one, too, that only notes how the configuration was taken.
type display struct {
	g        *global
	config   string
	jobs     *observe.Jobs // nil if nothing is served
	observer *observe.Observer
	reloads  *observe.Reloads
}

// stuckAfter is how long the loop of the scheduler, which goes round once a minute, may stand still.
const stuckAfter = 5 * time.Minute

// display begins to serve, if that is wanted, until serving ends. ctx is that of the jobs.
func (s *service) display(ctx, serving context.Context) (*display, error) {
	d := &display{g: s.g, config: s.config, reloads: observe.NewReloads(s.g.now())}
	s.shown = d
	if s.address == "" {
		return d, nil
	}
	l, err := listen(ctx, s.address)
	if err != nil {
		return nil, err
	}
	d.jobs, d.observer = observe.NewJobs(), newObserver(s.g, readingInterval)
	go d.observer.Run(serving)
	go func() {
		healthy := func() error {
			if ctx.Err() != nil { // it waits for what runs, as long as it was told to
				return nil
			}
			return s.turns()
		}
		ready := func() error { return nil } // the configuration was read before
		if err := s.g.show(serving, l, healthy, ready, d.jobs, d.observer, d.reloads); err != nil {
			s.g.logger().Error("metrics are served no more; the jobs go on", "err", oneLine(err.Error()))
		}
	}()
	return d, nil
}

// turns is an error if the scheduler does not look at its plan any more.
func (s *service) turns() error {
	at := s.scheduler.Turned()
	if still := time.Since(at); !at.IsZero() && still > stuckAfter {
		return fmt.Errorf("the scheduler has not looked at its plan for %s", still.Round(time.Second))
	}
	return nil
}

// replace shows another configuration.
func (d *display) replace(c *configFile, jobs []scheduler.Job) {
	if d.jobs == nil {
		return
	}
	var hearts []string
	for _, k := range c.Clusters {
		if k.Heartbeat != (heartbeat{}) {
			hearts = append(hearts, k.Name)
		}
	}
	d.jobs.Replace(planned(jobs, d.g.now()), hearts)
	d.observer.Replace(c.targets(d.g, d.config))
}

// planned are the jobs as the metrics show them.
func planned(jobs []scheduler.Job, now time.Time) (all []observe.Job) {
	for _, j := range jobs {
		all = append(all, observe.Job{Cluster: j.Cluster, Name: j.Name, Next: j.Begins(now)})
	}
	return all
}

// ended shows how a job's turn ended, and has the evidence that it left read.
func (d *display) ended(e scheduler.Event, code int) {
	if d.jobs == nil {
		return
	}
	d.jobs.Ended(observe.Turn{
		Cluster: e.Cluster, Job: e.Job, Outcome: outcomeOf(code), Spared: e.Fresh, Ended: d.g.now(), Took: e.Took, Waited: e.Waited, Next: e.Next,
	})
	if !e.Fresh {
		d.observer.Again(e.Cluster)
	}
}

func (d *display) heartbeatFailed(cluster string) {
	if d.jobs != nil {
		d.jobs.HeartbeatFailed(cluster)
	}
}
