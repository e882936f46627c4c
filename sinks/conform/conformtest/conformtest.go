// Package conformtest holds a provider to the contract in its tests, on whatever real server it is given: the whole list of
// package conform, the races many times over, and what the server is known not to do.
package conformtest

import (
	"fmt"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
)

// Run holds a sink to the contract, each check as a subtest below the prefix, several at once. The server is named as in
// what Unenforced knows; a check in its list has to fail, so that no entry outlives its reason. More are checks of the provider's own.
func Run(t *testing.T, server string, s sinks.Sink, prefix string, more ...sinks.Check) {
	t.Helper()
	checks := append(conform.Checks(), more...)
	list := Unenforced(server)
	known := map[string]bool{}
	// Sub-subtests, so that all have ended when this returns.
	t.Run(server, func(t *testing.T) {
		for _, c := range checks {
			known[c.Name] = true
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				err := c.Run(t.Context(), s, prefix)
				switch reason, listed := list[c.Name]; {
				case listed && err == nil:
					t.Errorf("%s is listed as not holding this (%s), but it does: take it from the list", server, reason)
				case listed:
					t.Logf("%s does not hold this, as listed (%s): %v", server, reason, err)
				case err != nil:
					t.Error(err)
				}
			})
		}
	})
	for name := range list {
		if !known[name] {
			t.Errorf("the list of %s has %q, which is no check", server, name)
		}
	}
	lab.Report(t, "%s: %d checks, %d of them listed as not enforced", server, len(checks), len(list))
}

// Race lets eight puts of one key race, over and over: one wins, and what is there is its own. The names are those of checks.
func Race(t *testing.T, server string, s sinks.Sink, prefix string) {
	t.Helper()
	rounds := 20
	if lab.Long() {
		rounds = 200
	}
	for _, c := range conform.Races() {
		for round := range rounds {
			if err := c.Run(t.Context(), s, fmt.Sprintf("%sround-%d/", prefix, round)); err != nil {
				t.Fatalf("%s, round %d: %v", c.Name, round, err)
			}
		}
		lab.Report(t, "%s: %s, %d rounds", server, c.Name, rounds)
	}
}
