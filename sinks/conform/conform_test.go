package conform_test

import (
	"testing"

	"github.com/lifeboat-dr/lifeboat/sinks/conform"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
	"github.com/lifeboat-dr/lifeboat/sinks/file"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

func TestMemoryHoldsTheContract(t *testing.T) {
	t.Parallel()
	conformtest.Run(t, "memory", mem.New(), "")
	conformtest.Race(t, "memory", mem.New(), "")
}

func TestDirectoryHoldsTheContract(t *testing.T) {
	t.Parallel()
	s, err := file.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	conformtest.Run(t, "directory", s, "some/where/")
	conformtest.Race(t, "directory", s, "")
	for o, err := range s.List(t.Context(), "") {
		t.Errorf("left behind: %+v, %v", o, err)
	}
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
