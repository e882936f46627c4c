package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestTheExampleOfTheServicePageDoesItsJobs serves the page's configuration as it is, with the addresses of a real cluster.
func TestTheExampleOfTheServicePageDoesItsJobs(t *testing.T) {
	t.Parallel()
	c := readmeCluster(t, "3.6")
	d := newDesk(t, c)
	example := onlyBlock(t, "docs/service.md")
	d.run(t, "docs/service.md", "lifeboat key new backup.key; mkdir /var/backups/etcd")
	config := filepath.Join(d.dir, "lifeboat.yaml")
	if err := os.WriteFile(config, []byte(d.replace.Replace(example)), 0o600); err != nil {
		t.Fatal(err)
	}
	d.run(t, "docs/service.md", "lifeboat run --config lifeboat.yaml --check")
	s := serve(t, "--config", config, "--grace", "3m")
	for _, cluster := range []string{"prod", "staging"} { // the second has its keys from the first
		for _, job := range []string{"backup", "verify", "rehearse"} {
			s.until(t, 1, `msg="job done"`, "cluster="+cluster+" job="+job+" ")
		}
	}
	s.until(t, 1, `msg="job done"`, "cluster=prod job=cross-check ")
	s.until(t, 1, `msg=compared members=2 left=0`, "cluster=prod job=cross-check")
	if staging := s.until(t, 1, `msg="job done"`, "cluster=staging job=backup "); !regexp.MustCompile(`next=\S+:00:00Z`).MatchString(staging) {
		t.Errorf("the second cluster is not backed up every hour: %s", staging)
	}
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
	if strings.Contains(s.text(), "cluster=staging job=cross-check") {
		t.Error("the second cluster is compared with itself, although the page says null")
	}
	again := serve(t, "--config", config)
	again.until(t, 1, "job not needed", "cluster=prod job=cross-check ") // by its report
	if code := again.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d of the second", code)
	}
}

// TestTheServicePageSaysTheSameInChinese keeps the translation's example from growing old.
func TestTheServicePageSaysTheSameInChinese(t *testing.T) {
	t.Parallel()
	bare := func(page string) (text string) {
		for _, b := range blocks(t, page) {
			text += b.lang + "\n" + regexp.MustCompile(`(?m) +#.*$`).ReplaceAllString(b.text, "")
		}
		return text
	}
	if english, chinese := bare("docs/service.md"), bare("docs/service.zh-CN.md"); english != chinese || english == "" {
		t.Errorf("docs/service.md shows\n%s\nand its translation\n%s", english, chinese)
	}
}

func onlyBlock(t *testing.T, page string) string {
	t.Helper()
	var all []string
	for _, b := range blocks(t, page) {
		if b.lang == "yaml" {
			all = append(all, b.text)
		}
	}
	if len(all) != 1 {
		t.Fatalf("%s has %d blocks of yaml and not one", page, len(all))
	}
	return all[0]
}

// TestTheUnitsOfSystemdRunWhatThereIs runs what the units start, but for --config, whose file is another's, with the flags they give.
func TestTheUnitsOfSystemdRunWhatThereIs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(repository(t), "contrib", "systemd")
	units, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	started := 0
	texts := map[string]string{}
	for _, b := range blocks(t, "docs/service.md") {
		texts["docs/service.md"] += b.text // with a unit's command, to be given more flags
	}
	for _, u := range units {
		text, err := os.ReadFile(filepath.Join(dir, u.Name()))
		if err != nil {
			t.Fatal(err)
		}
		texts[u.Name()] = string(text)
	}
	for name, text := range texts {
		for _, line := range regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/lifeboat (.*)$`).FindAllStringSubmatch(text, -1) {
			r := lifeboat(t, strings.Fields(line[1])...).must(t, 2)
			if !strings.Contains(r.stderr, "lifeboat: error: configuration: open /etc/lifeboat/lifeboat.yaml") {
				t.Errorf("%s: not only the configuration is missing:\n%s", name, r.stderr)
			}
			started++
		}
	}
	if started != 3 {
		t.Errorf("%d commands were found", started)
	}
}
