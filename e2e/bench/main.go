// Command bench runs Lifeboat and what a user would use instead on the same database in the same run, in turns, and prints the
// medians and their ratios; and what `lifeboat run` costs with many clusters and nothing to do. `make bench` calls it. Times of different runs or machines must not be compared; ratios may.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	var o options
	flag.Int64Var(&o.size, "size", 1536, "size of the database in `MiB`")
	flag.IntVar(&o.runs, "runs", 3, "counted runs of each command, after one that is not")
	flag.StringVar(&o.version, "etcd", "3.6", "minor `VERSION` of the source and of etcdctl and etcdutl")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "`FOLDER` to work in; it needs some ten times the database's size")
	flag.BoolVar(&o.service, "service", false, "measure only the idle service, which takes some minutes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := bench(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
