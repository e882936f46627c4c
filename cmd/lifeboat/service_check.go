package main

import (
	"context"
	"io"
	"os/exec"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

// examination looks at the jobs of a configuration before any of them runs. What many clusters have in common is told once.
type examination struct {
	findings
	service *service
	file    *configFile
	loaded  []age.Identity // a passphrase takes a second of a processor, and is the same for all
}

// take examines one job, unless its sinks are unknown, which is told already. No store is asked; a directory that is not there may be
// when it is needed, as the commands have it, too.
func (x *examination) take(ctx context.Context, t task) {
	if !x.file.complete(t.cluster) {
		return
	}
	g := &global{streams: streams{in: x.service.g.in, out: io.Discard, err: io.Discard}, now: x.service.g.now} // warnings come with every run
	d := t.build(ctx, x.service, g, x.file, t.cluster)
	d.flags.loaded = x.loaded
	err := d.check()
	x.loaded = d.flags.loaded
	x.add(t.where(), err)
}

// findBinaries looks whether the etcd of rehearsals is there.
func findBinaries(binaries []string) error {
	for _, b := range binaries {
		if _, err := exec.LookPath(b); err != nil {
			return &rehearsal.BinaryError{Path: b, Err: err}
		}
	}
	return nil
}
