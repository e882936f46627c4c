package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestEveryCommandOfTheKeysPageWorks runs the page about keys from top to bottom, in both languages: keys are made, protected, rotated, and open
// what the page says they open.
func TestEveryCommandOfTheKeysPageWorks(t *testing.T) {
	t.Parallel()
	c := readmeCluster(t, "3.6")
	english := readmeCommands(t, "docs/keys.md")
	for _, page := range []string{"docs/keys.md", "docs/keys.zh-CN.md"} {
		t.Run(page, func(t *testing.T) {
			if said := readmeCommands(t, page); !slices.Equal(said, english) {
				t.Errorf("it says\n%s\nand the English page\n%s", strings.Join(said, "\n"), strings.Join(english, "\n"))
			}
			var script strings.Builder
			for _, b := range blocks(t, page) {
				if b.lang != "sh" {
					t.Errorf("%s:%d: a block of %q is run by nobody", page, b.line, b.lang)
				}
				fmt.Fprintf(&script, "echo '== line %d' >&2\n%s", b.line, b.text)
			}
			out := newDesk(t, c).run(t, page, script.String())
			for _, want := range []string{
				"revokes nothing", "sealed to other recipients than before", "lifeboat: accepted in ", "signed by       prod-2027+",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("nothing of what was run says %q:\n%s", want, out)
				}
			}
		})
	}
}
