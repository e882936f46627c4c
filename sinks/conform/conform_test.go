package conform_test

import (
	"fmt"
	"testing"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
	"github.com/lifeboat-dr/lifeboat/sinks/file"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

func TestMemoryHoldsTheContract(t *testing.T) {
	t.Parallel()
	runAll(t, mem.New(), "")
}

func TestDirectoryHoldsTheContract(t *testing.T) {
	t.Parallel()
	s, err := file.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	runAll(t, s, "some/where/")
	for o, err := range s.List(t.Context(), "") {
		t.Errorf("left behind: %+v, %v", o, err)
	}
}

func runAll(t *testing.T, s sinks.Sink, prefix string) {
	t.Run(fmt.Sprintf("%T", s), func(t *testing.T) {
		for _, c := range conform.Checks() {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				if err := c.Run(t.Context(), s, prefix); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

func TestChecksHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range conform.Checks() {
		if seen[c.Name] {
			t.Errorf("two checks are called %q", c.Name)
		}
		seen[c.Name] = true
	}
	if len(seen) < 30 {
		t.Errorf("there are only %d checks", len(seen))
	}
}
