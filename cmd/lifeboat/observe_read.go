package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/observe"
	"github.com/lifeboat-dr/lifeboat/retention"
)

const (
	// readingInterval is how often the sinks of a cluster are read where nothing else is said.
	readingInterval = time.Minute
	// readingLimit bounds one reading. A year of backups takes seconds.
	readingLimit = 2 * time.Minute
	// storeLimit is how long is waited for a store that does not answer, and storeRest how long it is then left alone.
	storeLimit = 20 * time.Second
	storeRest  = time.Minute
	// readingParallel is how many clusters are read at once.
	readingParallel = 8
)

// newObserver makes an observer of clusters, which reads nothing yet.
func newObserver(g *global, every time.Duration) *observe.Observer {
	return observe.New(observe.Options{Interval: every, Limit: readingLimit, Parallel: readingParallel, Codes: attentionCodes(), Log: g.logger()})
}

// A reading is how the sinks of one cluster are read.
type reading struct {
	g       *global
	file    string
	config  *configFile
	cluster *clusterConfig
	stores  *patience
	memory  *memory
}

// readings are those of all clusters.
func (c *configFile) readings(g *global, file string) (all []reading) {
	quiet := &global{streams: streams{in: g.in, out: io.Discard, err: io.Discard}, now: g.now} // what is wrong is in the metrics
	stores, room := &patience{limit: storeLimit, rest: storeRest}, &atomic.Int64{}
	room.Store(memoryBudget)
	for i := range c.Clusters {
		all = append(all, reading{quiet, file, c, &c.Clusters[i], stores, &memory{left: room}})
	}
	return all
}

// targets are what an observer reads.
func (c *configFile) targets(g *global, file string) (all []observe.Target) {
	longest := map[string]time.Duration{} // many clusters have the same schedules
	every := func(t task) time.Duration {
		j, err := t.scheduled()
		if err != nil { // told by whoever runs it
			return 0
		}
		text := j.Schedule.String()
		if _, known := longest[text]; !known {
			longest[text] = j.Schedule.Longest(g.now())
		}
		return longest[text]
	}
	plans := map[string]observe.Plan{}
	for _, t := range c.tasks() {
		p, known := plans[t.cluster.Name]
		if !known {
			p.CheckEvery = map[observe.Check]time.Duration{}
		}
		switch t.name {
		case "backup":
			p.BackupEvery = every(t)
		case "verify":
			p.CheckEvery[observe.Verify] = every(t)
			if c.verifiesDeep(t.cluster) {
				p.CheckEvery[observe.DeepVerify] = every(t)
			}
		case "rehearse":
			p.CheckEvery[observe.Rehearse] = every(t)
		case "cross-check":
			p.CheckEvery[observe.CrossCheck] = every(t)
		}
		plans[t.cluster.Name] = p
	}
	for _, r := range c.readings(g, file) {
		p := plans[r.cluster.Name]
		p.Floor = r.cluster.Retention.floor()
		all = append(all, observe.Target{Cluster: r.cluster.Name, Plan: p, Read: r.read})
	}
	return all
}

// floor is how many restorable backups are always left.
func (r retentionConfig) floor() int {
	if r.Floor != nil {
		return *r.Floor
	}
	return retention.DefaultFloor
}

// verifiesDeep tells whether verifications of a cluster open backups: if there is a key for that, unless something else is said.
func (c *configFile) verifiesDeep(k *clusterConfig) bool {
	if k.Verify != nil && k.Verify.Deep != nil {
		return *k.Verify.Deep
	}
	return len(c.Encryption.Identity) > 0
}

// prepare opens the sinks of the cluster and reads the trusted keys.
func (r reading) prepare(ctx context.Context) (*pruneFlags, *bucket, error) {
	f := &pruneFlags{} // retention tells what is frozen
	cmd := f.command(r.g)
	f.config, f.read, f.cluster, f.unattended, f.opened = r.file, r.config, r.cluster.Name, true, &r.config.stores
	cmd.SetContext(ctx)
	b, err := f.bucket(ctx, r.g, cmd)
	if err != nil {
		return nil, nil, err
	}
	if r.cluster.Retention != (retentionConfig{}) {
		err = f.rules(cmd)
	}
	return f, b, err
}

// read looks into the sinks as `status` does.
func (r reading) read(ctx context.Context) (observe.Facts, error) {
	f, b, err := r.prepare(ctx)
	if err != nil {
		return observe.Facts{}, err
	}
	pass := r.memory.begin()
	b.sinks = pass.with(r.stores.with(b.sinks))
	l, err := b.list(ctx, r.g.streams)
	if err != nil {
		return observe.Facts{}, err
	}
	b.findPayloads(ctx, r.g.streams, &l)
	s := newStatusJSON(l, catalog.Hidden(ctx, b.sinks, b.cluster), b, r.g.now())
	facts := s.facts(l, b, r.cluster.Sinks, f.policy)
	if err := lastComparison(ctx, b, &facts); err != nil {
		return observe.Facts{}, err
	}
	if err := ctx.Err(); err != nil { // what was not read must not pass for what is not there
		return observe.Facts{}, fmt.Errorf("read the sinks: %w", err)
	}
	pass.end()
	return facts, nil
}
