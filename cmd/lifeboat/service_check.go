package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// examination looks at the jobs of a configuration before any of them runs. What many clusters have in common is told once.
type examination struct {
	service *service
	file    *configFile
	loaded  []age.Identity // a passphrase takes a second of a processor, and is the same for all
	found   []mistake
	told    map[string]int // by what is wrong: its place in found
	alike   []int
}

// take examines one job. A store that cannot be used may be there when it is needed, and is no mistake; a directory that is not there is told.
func (x *examination) take(ctx context.Context, t task) {
	g := &global{streams: streams{in: x.service.g.in, out: io.Discard, err: io.Discard}, now: x.service.g.now} // warnings come with every run
	d := t.build(ctx, x.service, g, x.file, t.cluster)
	d.flags.loaded = x.loaded
	err := d.check()
	x.loaded = d.flags.loaded
	if err == nil {
		return
	}
	text := err.Error()
	at, known := x.told[text]
	if known {
		x.alike[at]++
		return
	}
	x.told[text] = len(x.found)
	x.found, x.alike = append(x.found, mistake{t.where(), err}), append(x.alike, 0)
}

// mistakes are what was found, and what may mend itself is only warned about.
func (x *examination) mistakes() (all []error) {
	for i, m := range x.found {
		if n := x.alike[i]; n > 0 {
			m.where += fmt.Sprintf(" and %d more", n)
		}
		var sink *sinks.Error
		if errors.As(m.error, &sink) {
			x.service.g.warnf("%s", oneLine(m.Error()))
			continue
		}
		all = append(all, m)
	}
	return all
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
