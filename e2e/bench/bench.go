package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/peak"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

type options struct {
	size    int64
	runs    int
	version string
	dir     string
	service bool // alone
}

// contest is one job, done by Lifeboat and by its rivals.
type contest struct {
	title string
	ways  []way // the first is Lifeboat's
	runs  [][]peak.Usage
}

// way is one way to do the job: commands in order, in a folder of its own that is emptied before each run. All ways of a contest end with
// data that is on the disk; does says what else is in it.
type way struct {
	name, does string
	steps      func(dir string) []*exec.Cmd
}

// programs are the paths of everything that runs.
type programs struct{ lifeboat, etcd, etcdctl, etcdutl, age, zstd string }

func findPrograms(version, dir string) (p programs, err error) {
	if p.lifeboat, err = lab.BuildLifeboat(dir); err != nil {
		return p, err
	}
	for _, want := range []struct {
		at             *string
		module, binary string
	}{
		{&p.etcd, "etcd-" + version, "etcd"},
		{&p.etcdctl, "etcd-" + version, "etcdctl"},
		{&p.etcdutl, "etcd-" + version, "etcdutl"},
		{&p.age, "age", "age"},
		{&p.zstd, tools.Debian, "zstd"},
	} {
		if *want.at, err = tools.Path(want.module, want.binary); err != nil {
			return p, err
		}
	}
	return p, nil
}

func bench(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp(o.dir, "lifeboat-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.service {
		binary, err := lab.BuildLifeboat(dir)
		if err != nil {
			return err
		}
		return printService(ctx, binary, dir)
	}
	p, err := findPrograms(o.version, dir)
	if err != nil {
		return err
	}
	s, err := startSource(ctx, p, dir, o.size<<20)
	if err != nil {
		return err
	}
	if err := s.prepare(p, dir); err != nil {
		return errors.Join(err, s.process.Stop())
	}
	backups, restores := backupContest(p, s), restoreContest(p, s)
	err = backups.hold(ctx, dir, o.runs)
	if err := errors.Join(err, s.process.Stop()); err != nil {
		return err
	}
	if err := restores.hold(ctx, dir, o.runs); err != nil {
		return err
	}
	if err := printService(ctx, p.lifeboat, dir); err != nil {
		return err
	}
	fmt.Printf("%d CPUs, %s; etcd %s, database of %.2f GiB; medians of %d runs in turns\n\n",
		runtime.NumCPU(), runtime.Version(), o.version, float64(s.dbSize)/(1<<30), o.runs)
	report(os.Stdout, backups, restores)
	return nil
}

func printService(ctx context.Context, lifeboat, dir string) error {
	fmt.Fprintf(os.Stderr, "bench: the idle service, for %s\n", idleFor)
	i, err := benchService(ctx, lifeboat, dir)
	if err == nil {
		i.report(os.Stdout)
	}
	return err
}

// hold runs every way in turn, once uncounted and then so many times.
func (c *contest) hold(ctx context.Context, dir string, runs int) error {
	c.runs = make([][]peak.Usage, len(c.ways))
	for round := range runs + 1 {
		for i, w := range c.ways {
			fmt.Fprintf(os.Stderr, "bench: %s, round %d of %d: %s\n", c.title, round, runs, w.name)
			u, err := w.run(ctx, filepath.Join(dir, "work"))
			if err != nil {
				return err
			}
			if round > 0 {
				c.runs[i] = append(c.runs[i], u)
			}
		}
	}
	return nil
}

func (w way) run(ctx context.Context, dir string) (all peak.Usage, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return all, err
	}
	defer os.RemoveAll(dir)
	// What others have written must not be waited for in this one's time.
	if out, err := exec.CommandContext(ctx, "sync").CombinedOutput(); err != nil {
		return all, fmt.Errorf("sync: %w\n%s", err, out)
	}
	for _, cmd := range w.steps(dir) {
		if err := ctx.Err(); err != nil {
			return all, err
		}
		u, err := peak.Run(cmd)
		if err != nil {
			return all, err
		}
		all.Add(u)
	}
	return all, nil
}

// shell is a pipeline, which is how a user puts stock tools together. It fails if any part does.
func shell(script string) *exec.Cmd {
	return exec.Command("bash", "-o", "pipefail", "-euc", script)
}
