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

// take examines one job, unless its sinks are unknown, which is told already. No store is asked; a directory that is not there may be
// when it is needed, as the commands have it, too.
func (x *examination) take(ctx context.Context, t task) {
	for _, name := range t.cluster.Sinks {
		if x.file.Sinks[name].URL == "" {
			return
		}
	}
	g := &global{streams: streams{in: x.service.g.in, out: io.Discard, err: io.Discard}, now: x.service.g.now} // warnings come with every run
	d := t.build(ctx, x.service, g, x.file, t.cluster)
	d.flags.loaded = x.loaded
	err := d.check()
	x.loaded = d.flags.loaded
	seen := map[string]bool{}
	for _, e := range parts(err) {
		text := e.Error()
		at, known := x.told[text]
		switch {
		case seen[text]:
		case known:
			x.alike[at]++
		default:
			x.told[text] = len(x.found)
			x.found, x.alike = append(x.found, mistake{t.where(), e}), append(x.alike, 0)
		}
		seen[text] = true
	}
}

// parts takes apart what errors.Join put together, and nothing else.
func parts(err error) (all []error) {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
	case !ok, errors.Join(joined.Unwrap()...).Error() != err.Error():
		all = []error{err}
	default:
		for _, e := range joined.Unwrap() {
			all = append(all, parts(e)...)
		}
	}
	return all
}

// mistakes are what was found; of what may mend itself it only warns.
func (x *examination) mistakes() (all []error) {
	for i, m := range x.found {
		if n := x.alike[i]; n > 0 {
			m.where += fmt.Sprintf(" and %d more", n)
		}
		if errors.Is(m.error, sinks.ErrNoBucket) {
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
