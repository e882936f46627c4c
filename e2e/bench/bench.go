package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/peak"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

type options struct {
	size    int64
	runs    int
	version string
	dir     string
}

// contest is one job, done by Lifeboat and by its rivals.
type contest struct {
	title string
	ways  []way // the first is Lifeboat's
	runs  [][]peak.Usage
}

// way is one way to do the job: commands in order, in a folder of its own that is emptied before each run.
type way struct {
	name  string
	steps func(dir string) []*exec.Cmd
}

// programs are the paths of everything that runs.
type programs struct{ lifeboat, etcd, etcdctl, etcdutl, age, zstd string }

func findPrograms(version, dir string) (p programs, err error) {
	p.lifeboat = filepath.Join(dir, "lifeboat")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", p.lifeboat, "github.com/lifeboat-dr/lifeboat/cmd/lifeboat")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return p, fmt.Errorf("building lifeboat: %w\n%s", err, out)
	}
	for _, want := range []struct {
		at             *string
		module, binary string
	}{
		{&p.etcd, "etcd-" + version, "etcd"}, {&p.etcdctl, "etcd-" + version, "etcdctl"}, {&p.etcdutl, "etcd-" + version, "etcdutl"},
		{&p.age, "age", "age"}, {&p.zstd, tools.Debian, "zstd"},
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
	fmt.Printf("%d CPUs, %s; etcd %s, database of %.2f GiB, medians of %d runs in turns\n\n",
		runtime.NumCPU(), runtime.Version(), o.version, float64(s.dbSize)/(1<<30), o.runs)
	for _, c := range []*contest{backups, restores} {
		c.print()
	}
	return nil
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

func (w way) run(ctx context.Context, dir string) (peak.Usage, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return peak.Usage{}, err
	}
	defer os.RemoveAll(dir)
	all := peak.Usage{Anon: map[string]int64{}}
	for _, cmd := range w.steps(dir) {
		if err := ctx.Err(); err != nil {
			return all, err
		}
		u, err := peak.Run(cmd)
		if err != nil {
			return all, err
		}
		all.Wall += u.Wall
		all.CPU += u.CPU
		for kind, n := range u.Anon {
			all.Anon[kind] = max(all.Anon[kind], n)
		}
	}
	return all, nil
}

// print writes a table: medians, and how Lifeboat's wall time compares with each rival's.
func (c *contest) print() {
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "%s\twall s\tCPU s\tlifeboat / this\tpeak memory MiB\n", c.title)
	ours := median(c.runs[0], func(u peak.Usage) float64 { return u.Wall.Seconds() })
	for i, w := range c.ways {
		wall := median(c.runs[i], func(u peak.Usage) float64 { return u.Wall.Seconds() })
		cpu := median(c.runs[i], func(u peak.Usage) float64 { return u.CPU.Seconds() })
		ratio := "–"
		if i > 0 {
			ratio = fmt.Sprintf("%.2f", ours/wall)
		}
		fmt.Fprintf(tw, "%s\t%.2f\t%.2f\t%s\t%s\n", w.name, wall, cpu, ratio, peaks(c.runs[i]))
	}
	tw.Flush()
	fmt.Println()
}

// peaks names the highest anonymous memory of each kind of process over all runs.
func peaks(runs []peak.Usage) string {
	most := map[string]int64{}
	for _, u := range runs {
		for kind, n := range u.Anon {
			most[kind] = max(most[kind], n)
		}
	}
	var all []string
	for kind, n := range most {
		all = append(all, fmt.Sprintf("%s %d", kind, n>>20))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func median(runs []peak.Usage, of func(peak.Usage) float64) float64 {
	values := make([]float64, 0, len(runs))
	for _, u := range runs {
		values = append(values, of(u))
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// shell is a pipeline, which is how a user puts stock tools together. It fails if any part does.
func shell(script string) *exec.Cmd {
	return exec.Command("bash", "-o", "pipefail", "-euc", script)
}

const patience = 2 * time.Minute
