// Command build builds every server and tool that the tests run, so that no test has to wait for one.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	all, err := tools.All()
	if err != nil {
		return err
	}
	for _, tool := range all {
		start := time.Now()
		file, err := tools.Path(tool[0], tool[1])
		if err != nil {
			return err
		}
		fmt.Printf("%6.1f s  %s\n", time.Since(start).Seconds(), file)
	}
	return nil
}
