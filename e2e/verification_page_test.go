package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestEveryCommandOfTheVerificationPageWorks runs the page about verification from top to bottom.
func TestEveryCommandOfTheVerificationPageWorks(t *testing.T) {
	t.Parallel()
	var script strings.Builder
	for _, b := range blocks(t, "docs/verification.md") {
		if b.lang != "sh" {
			t.Errorf("%s:%d: a block of %q is run by nobody", b.page, b.line, b.lang)
		}
		fmt.Fprintf(&script, "echo '== line %d' >&2\n%s", b.line, b.text)
	}
	out := newDesk(t, readmeCluster(t, "3.6")).run(t, "docs/verification.md", script.String())
	for _, want := range []string{"3 members are equal", "by rehearse", "whole; opened"} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing of what was run says %q:\n%s", want, out)
		}
	}
}
