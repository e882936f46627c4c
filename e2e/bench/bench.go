package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// bench runs what was asked for. What a part has shown is printed at once, so that a failure of a later one does not lose it.
func bench(ctx context.Context, o options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp(o.dir, "lifeboat-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := findPrograms(o.version, dir)
	if err != nil {
		return err
	}
	var f footing
	defer func() { err = errors.Join(err, f.close()) }()
	fmt.Fprintln(out, describeMachine(o, dir))
	if err := benchDatabases(ctx, o, p, &f, dir, out); err != nil {
		return err
	}
	if o.wants(manyClusters) {
		m, err := benchMany(ctx, p, &f, dir, o.clusters)
		if err != nil {
			return err
		}
		m.report(out)
	}
	if o.wants(idleService) {
		progress("the idle service, for %s", idleFor)
		i, err := benchService(ctx, p.lifeboat, dir)
		if err != nil {
			return err
		}
		i.report(out)
	}
	return nil
}

// benchDatabases takes the databases one after the other, so that the disk has to hold one at a time.
func benchDatabases(ctx context.Context, o options, p programs, f *footing, dir string, out io.Writer) error {
	if !slices.ContainsFunc(parts, func(part string) bool { return o.wants(part) && part != manyClusters && part != idleService }) {
		return nil
	}
	var all []*outcome
	fmt.Fprint(out, tableHead)
	for i, d := range o.databases {
		one, err := benchDatabase(ctx, o, p, f, filepath.Join(dir, fmt.Sprintf("database-%d", i+1)), d)
		if err != nil {
			return err
		}
		one.rows(out)
		all = append(all, one)
	}
	reportMachine(out, all)
	reportChildren(out, all)
	reportLimits(out, checkDatabases(all))
	reportWays(out, all)
	return nil
}
