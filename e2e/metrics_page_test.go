package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestTheExampleOfTheMetricsPageIsObserved serves the page's configuration as it is, but for where its sinks are.
func TestTheExampleOfTheMetricsPageIsObserved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var example string
	for _, b := range blocks(t, "docs/metrics.md") {
		if b.lang == "yaml" && strings.HasPrefix(b.text, "clusters:") {
			example = b.text
		}
	}
	for _, name := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	example = strings.NewReplacer("s3://backups/etcd?region=eu-central-1", "file://"+filepath.Join(dir, "one"), "gs://dr-backups/etcd", "file://"+filepath.Join(dir, "two")).Replace(example)
	config := filepath.Join(dir, "lifeboat.yaml")
	if err := os.WriteFile(config, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	lifeboat(t, "key", "new", "--signing", filepath.Join(dir, "sign.key"), "--public-file", filepath.Join(dir, "trusted-keys.txt")).must(t, 0)
	s := launch(t, nil, "observe", "--config", config, "--listen", "127.0.0.1:0")
	s.shows(t, "an empty bucket", func(m series) bool {
		return m[`observation_success{cluster="prod"}`] == 1 && m[`sink_up{cluster="prod",sink="second-site"}`] == 1 && m[`check_interval_seconds{cluster="prod",kind="rehearse"}`] == 86400
	})
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestTheMetricsPageSaysTheSameInChinese compares examples, and the names of metrics, which a test of their package holds to the code.
func TestTheMetricsPageSaysTheSameInChinese(t *testing.T) {
	t.Parallel()
	said := func(page string) (all []string) {
		for _, b := range blocks(t, page) {
			all = append(all, regexp.MustCompile(`(?m) +#.*$`).ReplaceAllString(b.text, ""))
		}
		text, err := os.ReadFile(filepath.Join(repository(t), page))
		if err != nil {
			t.Fatal(err)
		}
		return append(all, regexp.MustCompile("(?m)^\\| `lifeboat_[^`]+`").FindAllString(string(text), -1)...)
	}
	english, chinese := said("docs/metrics.md"), said("docs/metrics.zh-CN.md")
	if !slices.Equal(english, chinese) || len(english) < 40 {
		t.Errorf("the pages have %q and %q", english, chinese)
	}
}
