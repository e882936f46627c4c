package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// alertPages is where the runbook_url of every alert leads, in this repository.
const alertPages = "https://github.com/lifeboat-dr/lifeboat/blob/main/docs/alerts/"

// An alert is a rule of charts/lifeboat/files/rules.yaml. Several may share a name, with different severities.
type alert struct {
	Name        string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func rulesFile(t testing.TB) string {
	return filepath.Join(repository(t), "charts/lifeboat/files/rules.yaml")
}

func alerts(t testing.TB) (all []alert) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string  `yaml:"name"`
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	readYAML(t, rulesFile(t), &file)
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 30 {
		t.Fatalf("only %d rules were read", len(all))
	}
	return all
}

func readYAML(t testing.TB, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// TestEveryAlertTellsWhatToDo looks at names, severities and annotations, and that the page behind runbook_url is there in both languages.
func TestEveryAlertTellsWhatToDo(t *testing.T) {
	t.Parallel()
	named := map[string]bool{}
	for _, a := range alerts(t) {
		named[a.Name] = true
		if !regexp.MustCompile(`^Lifeboat[A-Z][A-Za-z]+$`).MatchString(a.Name) || a.For == "" {
			t.Errorf("%q with for: %q", a.Name, a.For)
		}
		if len(a.Labels) != 1 || !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s has the labels %v", a.Name, a.Labels)
		}
		keys := slices.Sorted(maps.Keys(a.Annotations))
		if !slices.Equal(keys, []string{"description", "runbook_url", "summary"}) {
			t.Errorf("%s has the annotations %v", a.Name, keys)
		}
		if a.Annotations["runbook_url"] != alertPages+a.Name+".md" {
			t.Errorf("%s leads to %s", a.Name, a.Annotations["runbook_url"])
		}
	}
	for _, language := range []string{".md", ".zh-CN.md"} {
		index, err := os.ReadFile(filepath.Join(repository(t), "docs/alerts/README"+language))
		if err != nil {
			t.Fatal(err)
		}
		for name := range named {
			if _, err := os.Stat(filepath.Join(repository(t), "docs/alerts", name+language)); err != nil {
				t.Error(err)
			}
			if !strings.Contains(string(index), "]("+name+language+")") {
				t.Errorf("docs/alerts/README%s does not lead to %s", language, name)
			}
		}
	}
	for _, page := range pages(t) {
		name, ours := strings.CutPrefix(page, "docs/alerts/")
		name = strings.TrimSuffix(strings.TrimSuffix(name, ".md"), ".zh-CN")
		if ours && name != "README" && !named[name] {
			t.Errorf("%s is of no alert", page)
		}
	}
}

var ownMetric = regexp.MustCompile(`\blifeboat_[a-z_]+`)

// documented are the metrics of docs/metrics.md, which a test of its own holds to the code.
func documented(t testing.TB) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository(t), "docs/metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, name := range ownMetric.FindAllString(string(text), -1) {
		all[name] = true
	}
	return all
}

// TestRulesUseMetricsThatThereAre also says which of a person's concerns no rule looks at.
func TestRulesUseMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	known, used := documented(t), map[string]bool{}
	for _, a := range alerts(t) {
		own := ownMetric.FindAllString(a.Expr, -1)
		if len(own) == 0 {
			t.Errorf("%s goes by no metric of ours", a.Name)
		}
		for _, name := range own {
			used[name] = true
			if !known[name] {
				t.Errorf("%s goes by %s, which docs/metrics.md does not have", a.Name, name)
			}
		}
	}
	// These tell of something that is wrong by being there; a new one of their kind wants an alert.
	for name := range known {
		wrong := strings.HasSuffix(name, "_failed") || strings.HasSuffix(name, "_success") || strings.HasSuffix(name, "_up") ||
			regexp.MustCompile(`^lifeboat_[a-z]+_(backups|objects|changed)$|_failures_total$|without|unsigned|skew|expiry`).MatchString(name)
		if wrong && !used[name] {
			t.Errorf("no alert goes by %s", name)
		}
	}
}

// A ruleTest is a file that promtool runs.
type ruleTest struct {
	Tests []struct {
		Name   string                   `yaml:"name"`
		Series []map[string]string      `yaml:"input_series"`
		Alerts []map[string]interface{} `yaml:"alert_rule_test"`
	} `yaml:"tests"`
}

func ruleTests(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository(t), "e2e/testdata/alerts/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("tests of the rules: %v, %v", files, err)
	}
	return files
}

// TestEveryAlertIsTestedBothWays finds for every name and severity a case in which it is raised, and for every name one in which it is not although
// there are series that it goes by. That the cases hold, promtool shows in TestNodeRulesDoWhatTheirTestsSay.
func TestEveryAlertIsTestedBothWays(t *testing.T) {
	t.Parallel()
	raised, silent := map[string]bool{}, map[string]bool{}
	uses := map[string][]string{}
	for _, a := range alerts(t) {
		uses[a.Name] = append(uses[a.Name], ownMetric.FindAllString(a.Expr, -1)...)
	}
	for _, file := range ruleTests(t) {
		var rt ruleTest
		readYAML(t, file, &rt)
		for _, c := range rt.Tests {
			for _, a := range c.Alerts {
				name := fmt.Sprint(a["alertname"])
				expected, _ := a["exp_alerts"].([]interface{})
				for _, e := range expected {
					labels, _ := e.(map[string]interface{})["exp_labels"].(map[string]interface{})
					raised[name+" "+fmt.Sprint(labels["severity"])] = true
				}
				near := slices.ContainsFunc(c.Series, func(s map[string]string) bool { return slices.Contains(uses[name], ownMetric.FindString(s["series"])) })
				if len(expected) == 0 && near && filepath.Base(file) != "healthy.yaml" {
					silent[name] = true
				}
			}
		}
	}
	for _, a := range alerts(t) {
		if !raised[a.Name+" "+a.Labels["severity"]] {
			t.Errorf("no test shows %s raised as %s", a.Name, a.Labels["severity"])
		}
		if !silent[a.Name] {
			t.Errorf("no test shows %s silent where it might be raised", a.Name)
		}
	}
}
