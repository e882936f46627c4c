package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

// Prometheus is Debian's, with a configuration of the test's own. It is for tests with the build tag node.
type Prometheus struct{ URL string }

// A Sample is one series of an answer, with its value.
type Sample struct {
	Labels map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

// DebianPrometheus returns the path of a program of Debian's package prometheus: prometheus or promtool.
func DebianPrometheus(t testing.TB, binary string) string {
	t.Helper()
	dir, err := tools.Unpacked("prometheus")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "usr/bin", binary)
}

// StartPrometheus has Prometheus scrape the targets (HOST:PORT) and look at the rules in a file every second.
func StartPrometheus(t testing.TB, rules string, targets ...string) *Prometheus {
	t.Helper()
	dir := Dir(t)
	list, err := json.Marshal(targets)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs:\n- {job_name: lifeboat, honor_labels: true, static_configs: [{targets: %s}]}\n", rules, list)
	file := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "prometheus.log"))
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", FreePorts(t, 1)[0])
	cmd := exec.Command(DebianPrometheus(t, "prometheus"), "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	})
	p := &Prometheus{"http://" + address}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := p.get(t.Context(), "/-/ready"); err == nil {
			return p
		} else if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("prometheus is not ready: %v\n%s", err, text)
		}
	}
}

// Query asks for the value of an expression now.
func (p *Prometheus) Query(t testing.TB, expr string) []Sample {
	t.Helper()
	var answer struct {
		Data struct {
			Result []Sample `json:"result"`
		} `json:"data"`
	}
	p.decode(t, "/api/v1/query?query="+url.QueryEscape(expr), &answer)
	return answer.Data.Result
}

// Rules tells of every rule by its name how Prometheus could evaluate it last: "ok", "err", or "unknown" if not yet.
func (p *Prometheus) Rules(t testing.TB) map[string][]string {
	t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health string }
			} `json:"groups"`
		} `json:"data"`
	}
	p.decode(t, "/api/v1/rules", &answer)
	all := map[string][]string{}
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			all[r.Name] = append(all[r.Name], r.Health)
		}
	}
	return all
}

func (p *Prometheus) decode(t testing.TB, path string, into any) {
	t.Helper()
	r, err := p.get(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(r, into); err != nil {
		t.Fatal(err)
	}
}

func (p *Prometheus) get(ctx context.Context, path string) (json.RawMessage, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, answer.Status, text)
	}
	return text, err
}
