package runbook

import (
	"slices"
	"strings"
	"testing"
)

func facts(names ...string) Facts {
	f := Facts{Backup: "ID", Revision: 7, Bump: 1000, TLS: true, DataDir: "/var/lib/etcd", Restore: map[string]string{}}
	for i, n := range names {
		host := "10.0.0." + string(rune('5'+i))
		f.Members = append(f.Members, Member{n, host, "https://" + host + ":2379"})
		f.Restore[n] = "lifeboat restore ID --like FILE"
	}
	f.Snapshot = func(file string) string { return "lifeboat restore ID --snapshot-out " + file }
	return f
}

// TestEveryRunbookStopsAPIServersFirstAndLooksBeforeItGoesOn holds what a tired person must be able to rely on, for every kind and for one
// member as well as several.
func TestEveryRunbookStopsAPIServersFirstAndLooksBeforeItGoesOn(t *testing.T) {
	t.Parallel()
	for _, kind := range Kinds() {
		for _, names := range [][]string{{"a"}, {"a", "b", "c"}} {
			b, ok := Write(kind, facts(names...))
			if !ok {
				t.Fatalf("no runbook for %s", kind)
			}
			var text strings.Builder
			if err := b.Print(&text); err != nil {
				t.Fatal(err)
			}
			at := func(part string) int {
				i := slices.IndexFunc(b.Steps, func(s Step) bool { return strings.Contains(s.Title, part) })
				if i < 0 {
					t.Errorf("%s: no step about %q", kind, part)
				}
				return i
			}
			stop := at("API server")
			change := slices.IndexFunc(b.Steps, func(s Step) bool {
				return slices.ContainsFunc(s.Commands, func(c string) bool {
					return strings.Contains(c, "--like") || strings.Contains(c, "--cluster-reset") || strings.Contains(c, "--recover-from")
				})
			})
			if change < 0 || stop > change || at("Look at etcd") < change || at("remembers the past") < at("Look at etcd") || at("Back up") != len(b.Steps)-1 {
				t.Errorf("%s: steps in a wrong order:\n%s", kind, text.String())
			}
			if len(names) == 1 && (strings.Contains(text.String(), "waits for the second") || strings.Contains(text.String(), "Every one prints")) {
				t.Errorf("%s: one member is told of others:\n%s", kind, text.String())
			}
			if len(b.Back) < 2 || !strings.Contains(text.String(), "Going back") || !strings.Contains(b.First, "quorum") {
				t.Errorf("%s: no way back, or no word of quorum:\n%s", kind, text.String())
			}
			for _, n := range names {
				if !strings.Contains(text.String(), n+" at 10.0.0.") {
					t.Errorf("%s: nothing about member %s", kind, n)
				}
			}
			for _, s := range slices.Concat(b.Steps, b.Back) {
				if s.On == nil || s.Commands == nil || s.Title == "" || len(s.Commands) == 0 && s.Until == "" {
					t.Errorf("%s: step %+v", kind, s)
				}
				for _, on := range s.On {
					if !slices.Contains(names, on) {
						t.Errorf("%s: a step on %q", kind, on)
					}
				}
			}
		}
	}
	if _, ok := Write("nomad", facts("a")); ok {
		t.Error("there is a runbook for nomad")
	}
}
