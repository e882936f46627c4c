package observe

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Done is the outcome of a job after which nothing was wrong.
const Done = "done"

// Jobs shows what the jobs of a service did. It is a [prometheus.Collector].
type Jobs struct {
	mu     sync.Mutex
	known  map[jobID]bool
	hearts []string // clusters that have a heartbeat

	runs                             *prometheus.CounterVec
	success, end, took, waited, next *prometheus.GaugeVec
	heartbeats                       *prometheus.CounterVec
}

// taskLabel names a job. A label called job would clash with the one that Prometheus gives to each target.
const taskLabel = "task"

type jobID struct{ cluster, job string }

// A Job is one that is planned.
type Job struct {
	Cluster string
	Name    string
	Next    time.Time // when it is to begin the next time
}

// A Turn is the end of a job's turn.
type Turn struct {
	Cluster string
	Job     string
	Outcome string // from a closed set
	Spared  bool   // it was not run, since there was no need
	Ended   time.Time
	Took    time.Duration
	Waited  time.Duration
	Next    time.Time // zero if it is not planned any more
}

// NewJobs makes a show of no jobs.
func NewJobs() *Jobs {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "lifeboat_job_" + name, Help: help}, []string{"cluster", taskLabel})
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lifeboat_" + name, Help: help}, append([]string{"cluster"}, labels...))
	}
	return &Jobs{
		known:      map[jobID]bool{},
		runs:       counter("job_runs_total", "Runs of a job since the start of the process, by how they ended.", taskLabel, "outcome"),
		success:    gauge("last_success_timestamp_seconds", "When a run that ended well was over."),
		end:        gauge("last_end_timestamp_seconds", "When the last run was over, however it ended."),
		took:       gauge("duration_seconds", "How long the last run took."),
		waited:     gauge("wait_seconds", "How much later than planned the last run began."),
		next:       gauge("next_timestamp_seconds", "When the job is to begin the next time."),
		heartbeats: counter("heartbeat_failures_total", "Heartbeats that could not be sent since the start of the process."),
	}
}

func (j *Jobs) all() []prometheus.Collector {
	return []prometheus.Collector{j.runs, j.success, j.end, j.took, j.waited, j.next, j.heartbeats}
}

// Describe implements [prometheus.Collector].
func (j *Jobs) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range j.all() {
		c.Describe(ch)
	}
}

// Collect implements [prometheus.Collector].
func (j *Jobs) Collect(ch chan<- prometheus.Metric) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.all() {
		c.Collect(ch)
	}
}

// Replace makes jobs those that are shown. hearts are the clusters that have a heartbeat.
func (j *Jobs) Replace(jobs []Job, hearts []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before := j.known
	j.known = make(map[jobID]bool, len(jobs))
	for _, p := range jobs {
		id := jobID{p.Cluster, p.Name}
		j.known[id] = true
		j.runs.WithLabelValues(p.Cluster, p.Name, Done) // 0, so that the first run is an increase
		j.plan(id, p.Next)
	}
	for id := range before {
		if !j.known[id] {
			j.forget(id)
		}
	}
	for _, c := range j.hearts {
		if !slices.Contains(hearts, c) {
			j.heartbeats.DeleteLabelValues(c)
		}
	}
	j.hearts = hearts
	for _, c := range hearts {
		j.heartbeats.WithLabelValues(c)
	}
}

func (j *Jobs) forget(id jobID) {
	labels := prometheus.Labels{"cluster": id.cluster, taskLabel: id.job}
	j.runs.DeletePartialMatch(labels)
	for _, g := range []*prometheus.GaugeVec{j.success, j.end, j.took, j.waited, j.next} {
		g.Delete(labels)
	}
}

func (j *Jobs) plan(id jobID, next time.Time) {
	if next.IsZero() {
		j.next.DeleteLabelValues(id.cluster, id.job)
		return
	}
	j.next.WithLabelValues(id.cluster, id.job).Set(unixSeconds(next))
}

// Ended tells how a job's turn ended. One that is not planned any more is not shown again.
func (j *Jobs) Ended(t Turn) {
	j.mu.Lock()
	defer j.mu.Unlock()
	id := jobID{t.Cluster, t.Job}
	if !j.known[id] {
		return
	}
	j.plan(id, t.Next)
	if t.Spared {
		return
	}
	j.runs.WithLabelValues(t.Cluster, t.Job, t.Outcome).Inc()
	if t.Outcome == Done {
		j.success.WithLabelValues(t.Cluster, t.Job).Set(unixSeconds(t.Ended))
	}
	j.end.WithLabelValues(t.Cluster, t.Job).Set(unixSeconds(t.Ended))
	j.took.WithLabelValues(t.Cluster, t.Job).Set(t.Took.Seconds())
	j.waited.WithLabelValues(t.Cluster, t.Job).Set(t.Waited.Seconds())
}

// HeartbeatFailed counts a heartbeat that could not be sent, if the cluster still has one.
func (j *Jobs) HeartbeatFailed(cluster string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if slices.Contains(j.hearts, cluster) {
		j.heartbeats.WithLabelValues(cluster).Inc()
	}
}
