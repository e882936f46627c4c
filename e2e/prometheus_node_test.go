//go:build node

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// TestNodeRulesDoWhatTheirTestsSay has promtool read the rules, and run their tests.
func TestNodeRulesDoWhatTheirTestsSay(t *testing.T) {
	t.Parallel()
	promtool := func(t *testing.T, args ...string) {
		t.Helper()
		if out, err := exec.Command(lab.DebianPrometheus(t, "promtool"), args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", rulesFile(t))
	for _, file := range ruleTests(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			promtool(t, "test", "rules", file)
		})
	}
}

// scraped is a service that looks after clusters in several states.
type scraped struct {
	site    *site
	cluster *lab.Cluster
	service *service
}

// newScraped lays out: healthy, which the service backs up, verifies and rehearses; suspect, whose newest backup is of another cluster; failed,
// whose backup is damaged; gone, which has a schedule, an etcd that does not answer and no backup.
func newScraped(t *testing.T) *scraped {
	t.Helper()
	w := &scraped{site: newSite(t), cluster: lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1, TLS: true})}
	other := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	if _, err := kubedata.Fill(t.Context(), w.cluster.Client(t), kubedata.Options{Keys: 200, Seed: 31}); err != nil {
		t.Fatal(err)
	}
	backup := func(name string, c *lab.Cluster) {
		t.Helper()
		args := []string{"backup", "--cluster", name, "--sink", "file://" + w.site.bucket, "--recipients-file", w.site.keys.recipients}
		lifeboat(t, append(args, etcdFlags(c)...)...).must(t, 0)
	}
	backup("suspect", w.cluster)
	backup("suspect", other)
	backup("failed", w.cluster)
	payloads, err := filepath.Glob(filepath.Join(w.site.bucket, "v1/failed/snapshots/*.age"))
	if err != nil || len(payloads) != 1 {
		t.Fatalf("payloads %v, %v", payloads, err)
	}
	text, err := os.ReadFile(payloads[0])
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.Chmod(payloads[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(payloads[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	lifeboat(t, "verify", "latest", "--cluster", "failed", "--sink", "file://"+w.site.bucket).must(t, 7)
	tls := fmt.Sprintf("tls: {ca: %q, cert: %q, key: %q}", w.cluster.CAFile, w.cluster.CertFile, w.cluster.KeyFile)
	w.site.configure(t,
		[3]string{"healthy", w.cluster.Endpoints()[0], tls + `, schedule: "@hourly", verify: {schedule: "@daily", deep: true}, rehearse: {schedule: "@daily", members: 1}, ` +
			`prune: {schedule: "@every 5s"}, retention: {last: 9}, heartbeat: {success: "http://127.0.0.1:1/"}`},
		[3]string{"suspect", w.cluster.Endpoints()[0], tls},
		[3]string{"failed", w.cluster.Endpoints()[0], tls},
		[3]string{"gone", "http://127.0.0.1:1", `schedule: "*/15 * * * *"`},
	)
	w.service = serve(t, "--config", w.site.config, "--listen", "127.0.0.1:0")
	return w
}

// TestNodePrometheusShowsEveryState scrapes a service and an observer, loads the rules, and asks every query of the dashboard and of the rules.
func TestNodePrometheusShowsEveryState(t *testing.T) {
	t.Parallel()
	w := newScraped(t)
	observer := launch(t, nil, "observe", "--config", w.site.config, "--listen", "127.0.0.1:0", "--interval", "1s")
	host := func(s *service) string { return strings.TrimPrefix(s.address(t), "http://") }
	p := lab.StartPrometheus(t, rulesFile(t), host(w.service), host(observer))
	for _, job := range []string{"backup", "verify", "rehearse", "prune"} {
		w.service.until(t, 1, `msg="job done"`, "cluster=healthy job="+job+" ")
	}
	w.service.until(t, 1, `msg="job failed"`, "cluster=gone job=backup ")

	left := readDashboard(t).queries()
	asked := len(left)
	for deadline := time.Now().Add(2 * time.Minute); len(left) > 0; time.Sleep(250 * time.Millisecond) {
		for name, expr := range left {
			if len(p.Query(t, expr)) > 0 {
				delete(left, name)
			}
		}
		if time.Now().After(deadline) {
			for name, expr := range left {
				t.Errorf("%s returns nothing: %s", name, expr)
			}
			break
		}
	}
	lab.Report(t, "%d queries of the dashboard return something from a real Prometheus", asked-len(left))

	for name, health := range loaded(t, p) {
		for _, h := range health {
			if h != "ok" {
				t.Errorf("%s is %s", name, h)
			}
		}
	}
	wantAlarms(t, p)
}

// loaded waits until every rule was looked at.
func loaded(t *testing.T, p *lab.Prometheus) map[string][]string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(250 * time.Millisecond) {
		rules := p.Rules(t)
		n := 0
		for _, health := range rules {
			for _, h := range health {
				if h != "unknown" {
					n++
				}
			}
		}
		if n == len(alerts(t)) || time.Now().After(deadline) {
			if n != len(alerts(t)) {
				t.Errorf("%d of %d rules were looked at", n, len(alerts(t)))
			}
			return rules
		}
	}
}

// wantAlarms asks what the rules go by, without how long it has to last.
func wantAlarms(t *testing.T, p *lab.Prometheus) {
	t.Helper()
	var told []string
	for _, a := range alerts(t) {
		for _, s := range p.Query(t, a.Expr) {
			told = append(told, a.Labels["severity"]+" "+a.Name+" "+s.Labels["cluster"])
		}
	}
	all := "\n" + strings.Join(told, "\n") + "\n"
	for _, want := range []string{
		"critical LifeboatLineageChanged suspect", "critical LifeboatVerifyFailed failed", "critical LifeboatBackupDamaged failed", "critical LifeboatBackupNeverSeen gone",
		"warning LifeboatUnproven suspect", "info LifeboatSingleRecipient healthy", "warning LifeboatJobFailing gone",
	} {
		if !strings.Contains(all, "\n"+want+"\n") {
			t.Errorf("nothing tells %s", want)
		}
	}
	for _, one := range told {
		if strings.HasPrefix(one, "critical ") && (strings.HasSuffix(one, " healthy") || strings.HasSuffix(one, " ")) {
			t.Errorf("of what is healthy it tells %s", one)
		}
	}
	if t.Failed() {
		t.Logf("all that is told:%s", all)
	}
}
