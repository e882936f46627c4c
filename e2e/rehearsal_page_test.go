package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestEveryCommandOfTheRehearsalPageWorks runs the page about rehearsals from top to bottom; its translation says the same commands.
func TestEveryCommandOfTheRehearsalPageWorks(t *testing.T) {
	t.Parallel()
	english := readmeCommands(t, "docs/rehearsal.md")
	if said := readmeCommands(t, "docs/rehearsal.zh-CN.md"); !slices.Equal(said, english) {
		t.Errorf("the translation says\n%s\nand the English page\n%s", strings.Join(said, "\n"), strings.Join(english, "\n"))
	}
	var script strings.Builder
	for _, b := range blocks(t, "docs/rehearsal.md") {
		if b.lang != "sh" {
			t.Errorf("%s:%d: a block of %q is run by nobody", b.page, b.line, b.lang)
		}
		fmt.Fprintf(&script, "echo '== line %d' >&2\n%s", b.line, b.text)
	}
	d := newDesk(t, readmeCluster(t, "3.6"), "/opt/etcd-3.6/etcd", lab.Tool(t, "etcd-3.6", "etcd"), "/opt/etcd-3.7/etcd", lab.Tool(t, "etcd-3.7", "etcd"))
	out := d.run(t, "docs/rehearsal.md", script.String())
	for _, want := range []string{"compared with live ", "trend:       the one before: ", `"report":"rehearse"`, `"rto_seconds":`, "members of etcd 3.6."} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing of what was run says %q:\n%s", want, out)
		}
	}
	d.run(t, "what is left", "grep -q '>Proven<' rehearsal.html upgrade.html; grep -q ' failures=\"0\"' rehearsal.xml")
}
