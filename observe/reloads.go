package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Reloads shows how the configuration was taken the last time. It is a [prometheus.Collector].
type Reloads struct{ success, at prometheus.Gauge }

// NewReloads makes a show of a configuration that was just taken.
func NewReloads(now time.Time) *Reloads {
	r := &Reloads{
		prometheus.NewGauge(prometheus.GaugeOpts{Name: "lifeboat_config_reload_success", Help: "Whether the configuration could be taken the last time."}),
		prometheus.NewGauge(prometheus.GaugeOpts{Name: "lifeboat_config_reload_timestamp_seconds", Help: "When the configuration could last be taken."}),
	}
	r.Tried(true, now)
	return r
}

// Tried tells whether a configuration could be taken.
func (r *Reloads) Tried(ok bool, now time.Time) {
	r.success.Set(map[bool]float64{true: 1}[ok])
	if ok {
		r.at.Set(unixSeconds(now))
	}
}

// Describe implements [prometheus.Collector].
func (r *Reloads) Describe(ch chan<- *prometheus.Desc) {
	r.success.Describe(ch)
	r.at.Describe(ch)
}

// Collect implements [prometheus.Collector].
func (r *Reloads) Collect(ch chan<- prometheus.Metric) {
	r.success.Collect(ch)
	r.at.Collect(ch)
}
