package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// TestJSONOutputIsWhatItsPageSays holds docs/json.md to what the commands print, both ways: every field that is printed is described, and
// every field that is described is printed, unless the page says when it is absent.
func TestJSONOutputIsWhatItsPageSays(t *testing.T) {
	t.Parallel()
	page := readFieldTables(t)
	for command, outputs := range jsonOutputs(t) {
		seen := map[string]bool{}
		for _, text := range outputs {
			var v any
			decode(t, text, &v)
			collectFields(v, "", seen)
		}
		said := page.of(command)
		for field := range seen {
			if _, ok := said[field]; !ok {
				t.Errorf("%s -o json prints %s, which docs/json.md does not name", command, field)
			}
		}
		for field, meaning := range said {
			if !seen[field] && !strings.Contains(meaning, "absent") {
				t.Errorf("docs/json.md names %s of %s -o json, which was not printed and is not said to be absent", field, command)
			}
		}
	}
}

// fieldTables are the tables of docs/json.md: section → field → meaning.
type fieldTables map[string]map[string]string

var fieldRow = regexp.MustCompile("^\\| `([^`]+)` \\| (.*) \\|$")

func readFieldTables(t *testing.T) fieldTables {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository(t), "docs/json.md"))
	if err != nil {
		t.Fatal(err)
	}
	all, section := fieldTables{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "## "); ok {
			section = name
			all[section] = map[string]string{}
		}
		if m := fieldRow.FindStringSubmatch(line); m != nil {
			all[section][m[1]] = m[2]
		}
	}
	return all
}

// of puts together what the page says of one command's output: sections refer to each other in words.
func (p fieldTables) of(command string) map[string]string {
	all := maps.Clone(p[command])
	under := func(prefix string, more map[string]string) {
		for field, meaning := range more {
			all[prefix+field] = meaning
		}
	}
	switch command {
	case "backup", "show":
		under("", p["A manifest"])
	case "list":
		under("backups[].", p.of("show"))
	case "restore":
		under("plan.", p["restore --dry-run"])
	}
	return all
}

// collectFields notes the path of every field, of objects too where they can be null or their keys are not fixed.
func collectFields(v any, path string, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if path == "seconds" || path == "elsewhere" {
				key = "*"
			}
			collectFields(value, strings.TrimPrefix(path+"."+key, "."), into)
		}
		if slices.Contains([]string{"previous", "plan", "backups[]", "elsewhere.*", "backups[].previous"}, path) {
			into[path] = true
		}
	case []any:
		for _, value := range v {
			collectFields(value, path+"[]", into)
		}
		if path == "elsewhere.*" {
			into[path] = true
		}
	case nil:
		if !strings.HasSuffix(path, "previous") { // a list without items is []
			path += ", which is null,"
		}
		into[path] = true
	default:
		into[path] = true
	}
}

// jsonOutputs prints everything there is to print: of a cluster with TLS, encrypted values and more than one backup, signed and compared
// with its members, whole and damaged, in two sinks.
func jsonOutputs(t *testing.T) map[string][]string {
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 300, Seed: 12, Leases: 5}); err != nil {
		t.Fatal(err)
	}
	k, dir := newKeys(t), t.TempDir()
	signer := filepath.Join(dir, "sign.key")
	lifeboat(t, "key", "new", "--signing", signer).must(t, 0)
	first, second := t.TempDir(), t.TempDir()
	sinks := []string{"--sink", "file://" + first, "--sink", "file://" + second}
	reading := append(slices.Clone(sinks), "--trusted-keys-file", signer+".pub", "-o", "json")
	opening := append(slices.Clone(reading), "--identity", k.identity)
	out := map[string][]string{}
	run := func(command string, code int, args ...string) string {
		text := lifeboat(t, append(strings.Fields(command), args...)...).must(t, code).stdout
		out[command] = append(out[command], text)
		return text
	}
	backup := append(append(slices.Clone(sinks), etcdFlags(c)...), "--recipients-file", k.recipients, "--signing-key-file", signer, "-o", "json")
	run("backup", 0, append(backup, "--attest")...)
	run("guard", 0, append(slices.Clone(backup), "--", "true")...)
	run("guard", 1, append(slices.Clone(backup), "--identity", k.identity, "--", "sh", "-c", "kill -9 $$")...)
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // ids of one second sort by chance
	var b struct {
		ID     string `json:"id"`
		Sealed struct {
			Key string `json:"key"`
		} `json:"sealed"`
	}
	decode(t, run("backup", 0, append(backup, "--attest")...), &b)

	run("version", 0, "-o", "json")
	run("verify --cross-check", 0, append(append(slices.Clone(reading), etcdFlags(c)...), "--signing-key-file", signer)...)
	run("status", 0, reading...)
	run("sink check", 0, "file://"+t.TempDir(), "-o", "json")
	run("sink policy", 0, "s3://bucket/prefix?region=eu-central-1", "-o", "json")
	run("list", 0, reading...)
	run("show", 0, append([]string{"latest"}, reading...)...)
	run("restore --dry-run", 0, append([]string{"latest", "--out", filepath.Join(dir, "none")}, opening...)...)
	run("restore", 0, append([]string{"latest", "--out", filepath.Join(dir, "all")}, opening...)...)
	run("restore", 0, append([]string{b.ID, "--member", "m1", "--data-dir", filepath.Join(dir, "m1")}, opening...)...)
	pod := filepath.Join(dir, "etcd.yaml")
	if err := os.WriteFile(pod, []byte(staticPod(c, c.Members()[1], filepath.Join(dir, "like"))), 0o600); err != nil {
		t.Fatal(err)
	}
	run("restore", 0, append([]string{b.ID, "--like", pod, "--data-dir", filepath.Join(dir, "elsewhere")}, opening...)...)
	run("restore --snapshot-out", 0, append([]string{filepath.Join(dir, "plain.db"), b.ID}, opening...)...)
	run("restore --runbook", 0, append([]string{"kubeadm", b.ID}, opening...)...)
	snapshot, _ := lab.Snapshot34(t)
	run("restore", 0, snapshot, "--out", filepath.Join(dir, "file"), "-o", "json")
	run("rehearse", 0, append([]string{"latest", "--members", "1", "--signing-key-file", signer}, opening...)...)
	run("rehearse", 0, append([]string{"latest", "--members", "1", "--keep", "--dir", dir}, opening...)...)
	run("rehearse", 0, snapshot, "--members", "1", "-o", "json")

	later := newKeys(t)
	run("key rewrap", 0, append([]string{"latest", "--to", later.recipients}, opening...)...)
	run("show", 0, append([]string{"latest"}, reading...)...)

	run("copy", 0, append([]string{"--all", "--to", "file://" + t.TempDir()}, reading...)...)
	run("prune", 0, append([]string{"--last", "1", "--floor", "1"}, reading...)...)
	run("verify", 0, append([]string{"latest", "--deep"}, opening...)...)
	object := filepath.Join(second, b.Sealed.Key)
	if err := os.Remove(object); err != nil {
		t.Fatal(err)
	}
	run("verify", 7, append([]string{"latest"}, reading...)...)
	if err := os.WriteFile(filepath.Join(second, "v1/default/manifests", b.ID+".note"), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("list", 0, reading...)
	site := newSite(t)
	for schedule, code := range map[string]int{"@daily": 0, "@sometimes": 2} {
		site.configure(t, [3]string{"prod", c.Endpoints()[0], fmt.Sprintf("schedule: %q, timeout: 1h, tls: {ca: %s, cert: %s, key: %s}", schedule, c.CAFile, c.CertFile, c.KeyFile)})
		run("run --check", code, "--config", site.config, "-o", "json")
	}
	lifeboat(t, "hold", "latest", "--reason", "audit", "--signing-key-file", signer, "--sink", "file://"+first, "--trusted-keys-file", signer+".pub").must(t, 0)
	run("status", 0, reading...)
	run("doctor", 0, append(slices.Clone(reading), etcdFlags(c)...)...)
	c.Stop(t, 1)
	run("doctor", 4, append(append(slices.Clone(reading), etcdFlags(c)...), "--endpoints", "https://127.0.0.1:1", "--data-dir", c.Members()[1].DataDir)...)
	for command, texts := range out {
		for _, text := range texts {
			if !json.Valid([]byte(text)) {
				t.Errorf("%s -o json prints no JSON document:\n%s", command, text)
			}
		}
	}
	return out
}
