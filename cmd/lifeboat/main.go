// Command lifeboat backs up etcd into object storage and proves that what is there can be restored.
//
// This package is flags, configuration, output, hints and exit codes, one file per command; it refuses to hold any
// logic of backing up or restoring, which live in the packages of that name.
package main

import (
	"context"
	"os"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

func main() {
	if code, ok := child.Dispatch(context.Background(), os.Args, roles()); ok {
		os.Exit(code)
	}
	ctx, stop := untilSignal(context.Background())
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}
