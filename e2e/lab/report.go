package lab

import (
	"fmt"
	"os"
	"testing"
)

// Report tells a count or a figure that is worth seeing although the test passed: how many kills, flips, cases, bytes. It goes to the
// test's log, and to the end of what LIFEBOAT_TEST_REPORT names, which `make test` prints: go test itself shows no log of what passes.
func Report(t testing.TB, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	t.Log(text)
	name := os.Getenv("LIFEBOAT_TEST_REPORT")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(f, "%s: %s\n", t.Name(), text)
	if cerr := f.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
}
