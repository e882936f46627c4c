package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/observe"
)

// observing is `lifeboat observe`: what the sinks hold of all clusters of a configuration, as metrics.
type observing struct {
	g        *global
	config   string
	address  string
	interval time.Duration
}

func newObserve(g *global) *cobra.Command {
	o := &observing{g: g}
	cmd := &cobra.Command{
		Use:   "observe --config FILE",
		Short: "Serve what the sinks hold as Prometheus metrics, without the clusters",
		Long: `Read the sinks of every cluster of the configuration again and again, and serve what they tell: /metrics for Prometheus,
/healthz and /readyz for probes. It is what status says, so it holds for backups that a CronJob or a timer makes, and goes
on when a cluster is gone. It needs neither etcd nor an identity, and credentials that may only read.

A scrape shows what was read last, and asks no sink. What could not be read shows as lifeboat_observation_success 0 or
lifeboat_sink_up 0; everything else about the cluster then stays as it was. docs/metrics.md describes every metric.

SIGHUP reads the configuration again; one with a mistake is refused, and the old one goes on. SIGTERM and SIGINT end it
at once.

EXIT STATUS
  0 told to stop, 2 usage or a mistake in the configuration, 1 anything else, such as a port that is taken`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	fl := cmd.Flags()
	fl.StringVar(&o.config, "config", "", "configuration `FILE` (YAML)")
	fl.StringVar(&o.address, "listen", ":9870", "serve on this `ADDRESS`, HOST:PORT or :PORT")
	fl.DurationVar(&o.interval, "interval", readingInterval, "read the sinks of each cluster so often")
	return cmd
}

func (o *observing) run(ctx context.Context) error {
	switch {
	case o.config == "":
		return &usageError{"no configuration is given", "name the file with the clusters and their sinks: --config FILE"}
	case o.interval < time.Second:
		return &usageError{fmt.Sprintf("--interval %s is too short", o.interval), "use a duration such as 1m, of 1s at least"}
	}
	if err := checkListen(o.address); err != nil {
		return err
	}
	hangup := hangups()
	defer signal.Stop(hangup)
	targets, wrong, err := o.load(ctx)
	if err != nil {
		return err
	}
	if err := o.g.refuse(o.config, wrong); err != nil {
		return err
	}
	l, err := listen(ctx, o.address)
	if err != nil {
		return err
	}
	observer, reloads := newObserver(o.g, o.interval), observe.NewReloads(o.g.now())
	observer.Replace(targets)
	running, stop := context.WithCancel(ctx)
	defer stop()
	go observer.Run(running)
	go o.g.reloading(running, hangup, o.config, reloads, func() ([]any, []error, error) {
		targets, wrong, err := o.load(running)
		if err == nil && len(wrong) == 0 {
			observer.Replace(targets)
		}
		return []any{"clusters", len(targets)}, wrong, err
	})
	o.g.logger().Info("observing", "config", o.config, "clusters", len(targets), "interval", o.interval)
	ready := func() error {
		if !observer.Ready() {
			return errors.New("not every cluster was looked at yet")
		}
		return nil
	}
	alive := func() error { return nil } // it answers
	return o.g.show(ctx, l, alive, ready, observer, reloads)
}

// load reads the configuration and makes targets of it, or tells everything that is wrong with it.
func (o *observing) load(ctx context.Context) (targets []observe.Target, wrong []error, err error) {
	c, err := readConfig(o.config)
	switch {
	case c == nil:
		return nil, nil, err
	case err != nil: // it can be read, so the rest of what is wrong is told, too
		wrong = append(wrong, err)
	case len(c.Clusters) == 0:
		wrong = append(wrong, &usageError{"the configuration has no clusters", "give each a name and its sinks"})
	}
	c.stores.log = o.g.logger()
	var found findings
	for _, r := range c.readings(o.g, o.config) {
		if c.complete(r.cluster) {
			_, _, err := r.prepare(ctx)
			found.add(fmt.Sprintf("cluster %q", r.cluster.Name), errors.Join(r.cluster.check(), err))
		}
	}
	for _, t := range c.tasks() {
		_, err := t.scheduled()
		found.add(t.where(), err)
	}
	return c.targets(o.g, o.config), append(wrong, found.mistakes(o.g)...), nil
}
