package e2e

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestServiceShowsWhatItsJobsDo scrapes a service with a cluster that works beside one that is gone.
func TestServiceShowsWhatItsJobsDo(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1, TLS: true})
	site := newSite(t)
	works := [3]string{"works", c.Endpoints()[0], fmt.Sprintf(`tls: {ca: %s, cert: %s, key: %s}, `, c.CAFile, c.CertFile, c.KeyFile) +
		`schedule: "@every 2s", prune: {schedule: "@yearly"}, retention: {last: 9}, ` +
		`verify: {schedule: "0 3 * * *"}, rehearse: {schedule: "0 4 1 1 *", members: 1}, heartbeat: {success: "http://127.0.0.1:1/"}`}
	gone := [3]string{"gone", "http://127.0.0.1:1", `schedule: "@every 2s", heartbeat: {success: "http://127.0.0.1:1/"}`}
	site.configure(t, works, gone)
	s := serve(t, "--config", site.config, "--parallel", "3", "--listen", "127.0.0.1:0")
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, text := ask(t, s.address(t)+path); code != http.StatusOK {
			t.Errorf("%s: %d, %s", path, code, text)
		}
	}
	const done = `job_runs_total{cluster="works",outcome="done",task="backup"}`
	m := s.shows(t, "a rehearsal, and what is not there", func(m series) bool {
		return m[`job_runs_total{cluster="gone",outcome="etcd",task="backup"}`] >= 1 && m[`attention{cluster="gone",code="none"}`] == 1 &&
			m[`job_runs_total{cluster="works",outcome="done",task="rehearse"}`] == 1 && m[`rehearsal_duration_seconds{cluster="works",phase="total"}`] > 0 && m[done] >= 3
	})
	now := float64(time.Now().Unix())
	for name, is := range map[string]bool{
		`job_last_success_timestamp_seconds{cluster="works",task="backup"}`:       m[`job_last_success_timestamp_seconds{cluster="works",task="backup"}`] > now-300,
		`job_last_end_timestamp_seconds{cluster="gone",task="backup"}`:            m[`job_last_end_timestamp_seconds{cluster="gone",task="backup"}`] > now-300,
		`job_next_timestamp_seconds{cluster="works",task="prune"}`:                m[`job_next_timestamp_seconds{cluster="works",task="prune"}`] > now,
		`job_duration_seconds{cluster="works",task="backup"}`:                     m[`job_duration_seconds{cluster="works",task="backup"}`] > 0,
		`heartbeat_failures_total{cluster="works"}`:                               m[`heartbeat_failures_total{cluster="works"}`] >= 3,
		`heartbeat_failures_total{cluster="gone"}`:                                m[`heartbeat_failures_total{cluster="gone"}`] == 0, // it has none for failures
		`check_failed{cluster="works",kind="rehearse"}`:                           m[`check_failed{cluster="works",kind="rehearse"}`] == 0,
		`certificate_expiry_timestamp_seconds{cluster="works",role="client"}`:     m[`certificate_expiry_timestamp_seconds{cluster="works",role="client"}`] > now,
		`certificate_expiry_timestamp_seconds{cluster="works",role="ca"}`:         m[`certificate_expiry_timestamp_seconds{cluster="works",role="ca"}`] > now,
		`config_reload_success`:                                                   m[`config_reload_success`] == 1,
		`backup_interval_seconds{cluster="works"}`:                                m[`backup_interval_seconds{cluster="works"}`] == 2,
		`check_interval_seconds{cluster="works",kind="deep-verify"}, which it is`: m[`check_interval_seconds{cluster="works",kind="deep-verify"}`] == 86400,
	} {
		if !is {
			t.Errorf("%s is not as it should be: %v", name, m[name])
		}
	}
	if _, ever := m[`job_last_success_timestamp_seconds{cluster="gone",task="backup"}`]; ever {
		t.Error("a job that never succeeded has a time at which it did")
	}
	site.configure(t, works)
	hangUp(t, s)
	s.shows(t, "that a cluster is gone", func(m series) bool { return len(m.of("gone")) == 0 })
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
}
