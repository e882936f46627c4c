// Command bench runs Lifeboat and what a user would use instead on the same databases in the same run, in turns, and prints medians, their ratios, what
// the machine itself can do, and whether the project's limits hold; then many clusters in one process, and what `lifeboat run` costs with nothing to do.
// Tables are Markdown, on stdout; how far it is goes to stderr. `make bench` calls it. Times of different runs or machines must not be compared; ratios may.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

type options struct {
	databases []database
	runs      int
	clusters  int
	version   string
	dir       string
	only      []string
}

// parts are the names that -only knows.
var parts = []string{backupDir, backupMinIO, machine, restoreThree, restoreOne, restoreMinIO, manyClusters, idleService}

// wants tells whether a part is to be run.
func (o options) wants(part string) bool { return len(o.only) == 0 || slices.Contains(o.only, part) }

func main() {
	if code, ok := child.Dispatch(context.Background(), os.Args, map[string]child.Role{hashRole: hashFile}); ok {
		os.Exit(code)
	}
	o := options{databases: []database{{mib: 256}, {mib: 2048}, {mib: 2048, half: true}, {mib: 6144}}}
	flag.Func("size", "databases, as a `LIST` of MiB; -half after one that is to have half its pages free (default 256,2048,2048-half,6144)", func(text string) (err error) {
		o.databases, err = parseDatabases(text)
		return err
	})
	flag.IntVar(&o.runs, "runs", 5, "counted runs of each command, after one that is not")
	flag.IntVar(&o.clusters, "clusters", 200, "how many clusters one process backs up")
	flag.StringVar(&o.version, "etcd", "3.6", "minor `VERSION` of the source and of etcdctl and etcdutl")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "`FOLDER` to work in; it needs five times the largest database's size")
	flag.Func("only", "run only the parts of this `LIST`: "+strings.Join(parts, ","), func(text string) error {
		o.only = strings.Split(text, ",")
		for _, part := range o.only {
			if !slices.Contains(parts, part) {
				return fmt.Errorf("%q is none of %s", part, strings.Join(parts, ", "))
			}
		}
		return nil
	})
	flag.Parse()
	if o.runs < 1 || o.clusters < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "bench: -runs and -clusters are at least 1, and there is nothing but flags")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := bench(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
