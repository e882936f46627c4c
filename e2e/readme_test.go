package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// readmes are the pages that a newcomer types from, in order.
func readmes() []string { return []string{"README.md", "docs/README.zh-CN.md"} }

// TestEveryCommandOfTheReadmeWorks runs every block but those that need stock tools, which TestNodeTheReadmeRecoversWithStockTools runs.
func TestEveryCommandOfTheReadmeWorks(t *testing.T) {
	t.Parallel()
	c := readmeCluster(t, "3.6")
	for _, page := range readmes() {
		t.Run(page, func(t *testing.T) {
			followReadme(t, newDesk(t, c), page, false)
		})
	}
}

func readmeCluster(t *testing.T, version string) *lab.Cluster {
	c := lab.StartCluster(t, lab.ClusterOptions{Version: version, TLS: true})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 500, Seed: 6, Leases: 5, Churn: 50}); err != nil {
		t.Fatal(err)
	}
	return c
}

// followReadme does what the page says from top to bottom.
func followReadme(t *testing.T, d *desk, page string, withStockTools bool) {
	ran, left := 0, 0
	for _, b := range blocks(t, page) {
		where := fmt.Sprintf("%s:%d", page, b.line)
		switch {
		case b.lang != "sh":
			t.Errorf("%s: a block of %q is run by nobody", where, b.lang)
		case b.needsStockTools() && !withStockTools:
			left++
		default:
			d.run(t, where, b.text)
			ran++
		}
	}
	if ran == 0 || left > 1 {
		t.Errorf("%s: %d blocks were run, and %d left to make test-node", page, ran, left)
	}
}

// TestTheReadmesSayTheSameCommands keeps translations from growing old: what the Chinese page tells to type, the English one does.
func TestTheReadmesSayTheSameCommands(t *testing.T) {
	t.Parallel()
	english := readmeCommands(t, "README.md")
	for _, page := range readmes()[1:] {
		if translated := readmeCommands(t, page); !slices.Equal(translated, english) {
			t.Errorf("%s says\n%s\nand README.md\n%s", page, strings.Join(translated, "\n"), strings.Join(english, "\n"))
		}
	}
}

var shellComment = regexp.MustCompile(`\s+# .*$`)

func readmeCommands(t *testing.T, page string) (all []string) {
	for _, b := range blocks(t, page) {
		for line := range strings.Lines(b.text) {
			all = append(all, shellComment.ReplaceAllString(strings.TrimRight(line, "\n"), ""))
		}
	}
	return all
}

var pageLink = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)

// TestLinksOfThePagesLeadSomewhere follows every relative link of the pages in this repository.
func TestLinksOfThePagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		text, err := os.ReadFile(filepath.Join(repository(t), page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pageLink.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(repository(t), filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// pages are the README and everything under docs.
func pages(t *testing.T) []string {
	all := []string{"README.md"}
	root := repository(t)
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			name, relErr := filepath.Rel(root, path)
			all, err = append(all, name), relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
