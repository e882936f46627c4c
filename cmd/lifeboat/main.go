// Command lifeboat backs up etcd into object storage and proves that what is there can be restored.
//
// This package is flags, configuration, output, hints and exit codes, one file per command; it refuses to hold any
// logic of backing up or restoring, which live in the packages of that name.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

// gcPercent has garbage collected earlier than Go does by itself. What a stream leaves behind is buffers, which cost the collector next to nothing
// to pass by; by Go's own measure they add up to a third of the process over a large database, and to little over a small one.
const gcPercent = 40

func main() {
	if code, ok := child.Dispatch(context.Background(), os.Args, roles()); ok {
		os.Exit(code)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := untilSignal(context.Background())
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}
