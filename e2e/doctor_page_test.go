package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryCommandOfTheDoctorPageWorks runs the page in both languages, beside a cluster that is whole.
func TestEveryCommandOfTheDoctorPageWorks(t *testing.T) {
	t.Parallel()
	c := readmeCluster(t, "3.6")
	english := readmeCommands(t, "docs/doctor.md")
	for _, page := range []string{"docs/doctor.md", "docs/doctor.zh-CN.md"} {
		if said := readmeCommands(t, page); !slices.Equal(said, english) {
			t.Errorf("%s says\n%s\nand the English page\n%s", page, strings.Join(said, "\n"), strings.Join(english, "\n"))
		}
		var script strings.Builder
		for _, b := range blocks(t, page) {
			fmt.Fprintf(&script, "echo '== line %d' >&2\n%s", b.line, b.text)
		}
		if out := newDesk(t, c).run(t, page, script.String()); strings.Count(out, "all 3 voting members serve: there is nothing to restore") != 3 {
			t.Errorf("%s:\n%s", page, out)
		}
	}
}

var (
	codeInDoctor = regexp.MustCompile(`(?:d\.find(?:Backups)?\(|\t\{)"([a-z][a-z-]+)", `)
	codeInStatus = regexp.MustCompile(`s\.attention\("([a-z-]+)", `)
)

// TestTheDoctorPageNamesEveryFinding holds the page to the source, both ways.
func TestTheDoctorPageNamesEveryFinding(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	collect := func(dir, prefix string, code *regexp.Regexp) {
		files, err := filepath.Glob(filepath.Join(repository(t), dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, m := range code.FindAllStringSubmatch(string(text), -1) {
				found[prefix+m[1]] = true
			}
		}
	}
	collect("doctor", "", codeInDoctor)
	collect("cmd/lifeboat", "backup-", codeInStatus)
	// These two are answers to flags that only status has.
	delete(found, "backup-stale")
	delete(found, "backup-unexpected")
	if len(found) < 30 {
		t.Fatalf("only %d findings are in the source: %v", len(found), found)
	}
	for _, page := range []string{"docs/doctor.md", "docs/doctor.zh-CN.md"} {
		text, err := os.ReadFile(filepath.Join(repository(t), page))
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			cell, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
			if strings.HasPrefix(line, "| `") {
				for _, m := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(cell, -1) {
					named[m[1]] = true
				}
			}
		}
		for code := range found {
			if !named[code] {
				t.Errorf("%s does not name the finding %s", page, code)
			}
		}
		for code := range named {
			if !found[code] {
				t.Errorf("%s names the finding %s, which does not exist", page, code)
			}
		}
	}
}
