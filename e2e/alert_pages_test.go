package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var spoken = regexp.MustCompile("`(lifeboat [a-z][^`]*)`")

// TestCommandsOfTheAlertPagesAreUnderstood has the binary read the flags of every command on the pages, in blocks and in sentences: with --help it
// refuses a flag or a command that it does not have, and does nothing else.
func TestCommandsOfTheAlertPagesAreUnderstood(t *testing.T) {
	t.Parallel()
	asked := map[string]bool{}
	for _, page := range pages(t) {
		if !strings.HasPrefix(page, "docs/alerts/") {
			continue
		}
		var commands []string
		for _, b := range blocks(t, page) {
			if b.lang == "yaml" {
				continue
			}
			if b.lang != "sh" {
				t.Errorf("%s:%d: a block of %q", page, b.line, b.lang)
			}
			for _, line := range strings.Split(b.text, "\n") {
				line = strings.TrimSpace(shellComment.ReplaceAllString(line, ""))
				if strings.HasPrefix(line, "lifeboat ") {
					commands = append(commands, line)
				}
			}
		}
		text, err := os.ReadFile(filepath.Join(repository(t), page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range spoken.FindAllStringSubmatch(string(text), -1) {
			commands = append(commands, m[1])
		}
		if len(commands) == 0 && !strings.Contains(page, "README") {
			t.Errorf("%s tells no command to type", page)
		}
		for _, command := range commands {
			if !asked[command] {
				asked[command] = true
				wantUnderstood(t, page, command)
			}
		}
	}
	if len(asked) < 20 {
		t.Errorf("only %d commands were found", len(asked))
	}
}

func wantUnderstood(t *testing.T, page, command string) {
	t.Helper()
	command, _, _ = strings.Cut(command, " | ")
	words := strings.Fields(strings.NewReplacer("'", "", `"`, "").Replace(command))[1:]
	first := words[0]
	if r := lifeboat(t, append(words, "--help")...); r.code != 0 || !strings.Contains(r.stdout, "lifeboat "+first) {
		t.Errorf("%s: %s: exit %d: %s", page, command, r.code, r.stderr)
	}
}
