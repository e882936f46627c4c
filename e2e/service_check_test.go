package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// checked is `run --check -o json`.
type checked struct {
	OK   bool
	Jobs []struct {
		Cluster, Job, Schedule, Timezone string
		Next                             time.Time
		Timeout                          float64 `json:"timeout_seconds"`
	}
	Mistakes []struct {
		Error string
		Hints []string
	}
}

// TestACheckedConfigurationIsServedAsItWasTold compares what --check tells with what a service then does.
func TestACheckedConfigurationIsServedAsItWasTold(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	site := newSite(t)
	site.configure(t, [3]string{
		"prod", c.Endpoints()[0],
		`schedule: "0 0 1 1 *", jitter: 1h, timezone: Asia/Shanghai, timeout: 90s, prune: {schedule: "@daily"}, retention: {last: 3}`,
	})
	var told checked
	decode(t, lifeboat(t, "run", "--config", site.config, "--check", "-o", "json").must(t, 0).stdout, &told)
	if !told.OK || len(told.Jobs) != 2 || len(told.Mistakes) != 0 || told.Jobs[0].Job != "prune" {
		t.Fatalf("it tells %+v", told)
	}
	backup := told.Jobs[1]
	if backup.Cluster != "prod" || backup.Job != "backup" || backup.Schedule != "0 0 1 1 *" || backup.Timezone != "Asia/Shanghai" || backup.Timeout != 90 {
		t.Errorf("it tells of the backup %+v", backup)
	}
	if held := objectsIn(t, site.bucket); len(held) != 0 {
		t.Errorf("a check wrote %v", held)
	}
	next := backup.Next.Format(time.RFC3339)
	table := lifeboat(t, "run", "--config", site.config, "--check").must(t, 0).stdout
	if lines := strings.Split(table, "\n"); len(lines) != 4 || strings.Join(strings.Fields(lines[2]), " ") != next+" prod backup 0 0 1 1 * Asia/Shanghai 1m30s" {
		t.Errorf("for people it is\n%s", table)
	}
	s := serve(t, "--config", site.config, "--log-format", "json")
	s.until(t, 1, `"msg":"job done"`, `"took":\d`, `"next":"`+next+`"`, `"cluster":"prod"`, `"job":"backup"`)
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
	for line := range strings.Lines(s.text()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("with --log-format json it logs %s", line)
		}
	}
}

// TestACheckTellsEveryMistake makes one of each kind.
func TestACheckTellsEveryMistake(t *testing.T) {
	t.Parallel()
	k, dir := newKeys(t), t.TempDir()
	config := filepath.Join(dir, "lifeboat.yaml")
	text := `clusters:
  - {name: a, endpoints: ["https://127.0.0.1:1"], sinks: [here], schedule: "71 * * * *", timezone: Europe/Brlin, jitter: -1s, timeout: -3s, tls: {ca: gone.crt},
     heartbeat: {success: "ftp://secret"}, verify: {schedule: "@daily", sample: 200%}, cross-check: {}, rehearse: {schedule: "@sometimes", etcd: [no-such-etcd]},
     prune: {schedule: "@daily"}}
  - {name: b, endpoints: ["127.0.0.1:1"], sinks: [here, nowhere], timeout: 3s, prune: {schedule: "@daily"}, retention: {last: 1}}
sinks: {here: {url: "file://` + dir + `"}}
encryption: {recipients-file: ` + k.recipients + `, identity: [` + k.identity + `]}
`
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	said := lifeboat(t, "run", "--config", config, "--check", "-o", "json").must(t, 2)
	var told checked
	decode(t, said.stdout, &told)
	if told.OK || len(told.Jobs) != 0 {
		t.Errorf("it tells %+v", told)
	}
	all := ""
	for _, m := range told.Mistakes {
		all += m.Error + "\n"
		if !strings.Contains(said.stderr, m.Error) || len(m.Hints) == 0 {
			t.Errorf("%q is not told to people, or without advice", m.Error)
		}
	}
	for _, want := range []string{
		`cluster "b" names sink "nowhere"`, `cluster "a": "Europe/Brlin" is not`, `cluster "a": its jitter -1s`, `cluster "a": its heartbeat is no`,
		`cluster "a", backup: its timeout -3s`, `cluster "a", backup: schedule "71`, `gone.crt`, `cluster "a", verify: `, `200%`, `cluster "a", cross-check: it has no schedule`,
		`cluster "a", rehearse: schedule "@sometimes"`, `no-such-etcd`, `cluster "a", prune: no rule`, `cluster "b": it has a timeout`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing is said of %s in\n%s", want, all)
		}
	}
	if strings.Contains(all, "secret") {
		t.Errorf("the address of the heartbeat is shown:\n%s", all)
	}
	if run := lifeboat(t, "run", "--config", config).must(t, 2); run.stderr != said.stderr {
		t.Errorf("run says\n%s\nand --check\n%s", run.stderr, said.stderr)
	}
	write("clusters: [")
	told = checked{}
	decode(t, lifeboat(t, "run", "--config", config, "--check", "-o", "json").must(t, 2).stdout, &told)
	if told.OK || len(told.Mistakes) != 1 {
		t.Errorf("of what is no YAML it tells %+v", told)
	}
	write("clusters:\n  - &usual {name: a, timeuot: 1m}\n  - {<<: *usual, name: b}\n")
	if said := lifeboat(t, "run", "--config", config, "--check").must(t, 2); strings.Count(said.stderr, `"timeuot"`) != 1 {
		t.Errorf("what two clusters share is not complained of once:\n%s", said.stderr)
	}
	lifeboat(t, "run", "--config", config, "-o", "json").must(t, 2)
	if said := lifeboat(t, "run", "--config", config, "--check", "--listen", "9870").must(t, 2); !strings.Contains(said.stderr, "no address to listen on") {
		t.Errorf("of an address that is none it says\n%s", said.stderr)
	}
}
