package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/scheduler"
)

// serviceConfig is what the configuration says of a cluster for run: when what is done, and by which flags of the command of that name.
type serviceConfig struct {
	Schedule string        `yaml:"schedule"` // of backups
	Timeout  time.Duration `yaml:"timeout"`  // of one backup
	Timezone string        `yaml:"timezone"` // of all schedules of the cluster
	Jitter   time.Duration `yaml:"jitter"`   // of all jobs of the cluster

	Verify     *verifyJob     `yaml:"verify"`
	CrossCheck *crossCheckJob `yaml:"cross-check"`
	Rehearse   *rehearseJob   `yaml:"rehearse"`
	Prune      *pruneJob      `yaml:"prune"`

	Heartbeat heartbeat `yaml:"heartbeat"`
}

type verifyJob struct {
	Schedule string        `yaml:"schedule"`
	Timeout  time.Duration `yaml:"timeout"`
	Deep     *bool         `yaml:"deep"` // nil: if there is an identity
	Sample   string        `yaml:"sample"`
}

type crossCheckJob struct {
	Schedule string        `yaml:"schedule"`
	Timeout  time.Duration `yaml:"timeout"`
}

type rehearseJob struct {
	Schedule string        `yaml:"schedule"`
	Timeout  time.Duration `yaml:"timeout"`
	Members  *int          `yaml:"members"`
	MaxAge   time.Duration `yaml:"max-age"`
	Etcd     []string      `yaml:"etcd"`
}

type pruneJob struct {
	Schedule string        `yaml:"schedule"`
	Timeout  time.Duration `yaml:"timeout"`
}

// A task is a job before it is scheduled.
type task struct {
	cluster  *clusterConfig
	name     string // of the command, or of what it is told to do instead of the usual
	schedule string
	timeout  time.Duration
	tells    bool // the sinks tell when it was done last
	build    builder
}

// mistake is something wrong with a job in the configuration.
type mistake struct {
	where string
	error
}

func (m mistake) Error() string { return m.where + ": " + m.error.Error() }
func (m mistake) Unwrap() error { return m.error }

// tasks are the jobs of all clusters, those of one in the order in which they are done where several are due at once.
func (c *configFile) tasks() (all []task) {
	reports := c.Signing.TrustedKeysFile == "" || c.Signing.KeyFile != "" // otherwise none are left
	for i := range c.Clusters {
		k := &c.Clusters[i]
		if k.Schedule != "" {
			all = append(all, task{k, "backup", k.Schedule, k.Timeout, true, backupJob})
		}
		if j := k.Verify; j != nil {
			all = append(all, task{k, "verify", j.Schedule, j.Timeout, reports, verifyingJob})
		}
		if j := k.CrossCheck; j != nil {
			all = append(all, task{k, "cross-check", j.Schedule, j.Timeout, reports, crossCheckingJob})
		}
		if j := k.Rehearse; j != nil {
			all = append(all, task{k, "rehearse", j.Schedule, j.Timeout, reports, rehearsalJob})
		}
		if j := k.Prune; j != nil {
			all = append(all, task{k, "prune", j.Schedule, j.Timeout, false, pruningJob})
		}
	}
	return all
}

// scheduled makes a job of a task, without what it does, or tells all that is wrong with that.
func (t task) scheduled() (scheduler.Job, error) {
	j := scheduler.Job{Cluster: t.cluster.Name, Name: t.name, Jitter: t.cluster.Jitter, Timeout: t.timeout, Urgent: t.name == "backup"}
	var wrong []error
	if t.timeout < 0 {
		wrong = append(wrong, &usageError{fmt.Sprintf("its timeout %s is negative", t.timeout), "write a duration such as 30m"})
	}
	zone := t.cluster.Timezone
	if !isZone(zone) { // which is told once, for all jobs
		zone = ""
	}
	if t.schedule == "" {
		return j, errors.Join(append(wrong, &usageError{"it has no schedule", "write one like \"0 3 * * *\", or leave the block out"})...)
	}
	var err error
	if j.Schedule, err = scheduler.ParseSchedule(t.schedule, zone); err != nil {
		wrong = append(wrong, &usageError{err.Error(), "write minute, hour, day of month, month and day of week, as in \"*/15 * * * *\"; @daily or @every 90m will do, too"})
	}
	return j, errors.Join(wrong...)
}

func isZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil
}

// check finds all that is wrong with a cluster for run, whatever its jobs are.
func (k *clusterConfig) check() error {
	var wrong []error
	complain := func(message, hint string) { wrong = append(wrong, &usageError{message, hint}) }
	if err := catalog.CheckCluster(k.Name); err != nil {
		complain(err.Error(), "use letters, digits, dots, dashes and underscores")
	}
	if k.Schedule == "" && k.Timeout != 0 {
		complain("it has a timeout for backups, and no schedule for them", "write `schedule`, too, or leave `timeout` out")
	}
	if !isZone(k.Timezone) {
		complain(fmt.Sprintf("%q is not a time zone", k.Timezone), "write a name such as Europe/Berlin, or leave `timezone` out for UTC")
	}
	if k.Jitter < 0 {
		complain(fmt.Sprintf("its jitter %s is negative", k.Jitter), "write a duration such as 2m")
	}
	for _, raw := range []string{k.Heartbeat.Success, k.Heartbeat.Fail} {
		if u, err := url.Parse(raw); raw != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
			complain("its heartbeat is no address", "write it like https://hc.example.org/ping/ID") // which may be a secret
		}
	}
	return errors.Join(wrong...)
}

// where names a job.
func (t task) where() string { return fmt.Sprintf("cluster %q, %s", t.cluster.Name, t.name) }
