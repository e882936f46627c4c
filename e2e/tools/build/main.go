// Command build builds the servers and tools that the tests run, so that no test has to wait for one: those of the modules that
// are named, or else all that make test runs: kube takes minutes and is for make test-node only, s5cmd for make bench.
package main

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(modules []string) error {
	all, err := tools.All()
	if err != nil {
		return err
	}
	for _, tool := range all {
		if named := slices.Contains(modules, tool[0]); len(modules) > 0 && !named || len(modules) == 0 && slices.Contains([]string{tools.Kube, tools.S5cmd}, tool[0]) {
			continue
		}
		start := time.Now()
		file, err := tools.Path(tool[0], tool[1])
		if err != nil {
			return err
		}
		fmt.Printf("%6.1f s  %s\n", time.Since(start).Seconds(), file)
	}
	return nil
}
