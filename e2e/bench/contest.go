package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/peak"
)

// contest is one job, done by Lifeboat and by its rivals.
type contest struct {
	name, title string
	ways        []way // the first is Lifeboat's, where it takes part
	results     [][]result
}

// way is one way to do the job: commands in order, each time in a place of its own. All ways of a contest end with data that is on the disk; does
// says what else is in it.
type way struct {
	name, does string
	ours       bool
	steps      func(p place) []*exec.Cmd
	keeps      func(p place) []string // files and folders that are what was wanted; nil: what is in the bucket
	reports    bool                   // the first command prints what `lifeboat backup -o json` does
}

// place is where one run puts what it makes.
type place struct{ dir, bucket string }

// result is what one run took.
type result struct {
	peak.Usage
	beside                       map[string]time.Duration // CPU of others meanwhile: of the servers by their names, and theRest
	stored                       int64                    // bytes
	save, readBack, readBackOnly float64                  // seconds; zero where nothing tells
	keys                         int64
}

// wall is the time in seconds that all of it took.
func (r result) wall() float64 { return r.Wall.Seconds() }

// counted is the wall time in seconds that ratios are made of: without the time in which a backup did nothing but read back what it had stored.
func (r result) counted() float64 { return r.wall() - r.readBackOnly }

// hold runs every way in turn, once uncounted and then so many times. Each round begins with another way, so that none always comes after the same one.
func (c *contest) hold(ctx context.Context, s *scene, runs int) error {
	c.results = make([][]result, len(c.ways))
	for round := range runs + 1 {
		for turn := range c.ways {
			i := (round + turn) % len(c.ways)
			w := c.ways[i]
			r, err := s.run(ctx, w)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", c.name, w.name, err)
			}
			progress("%s, %s, round %d of %d: %s: %.2f s", s.source.database, c.title, round, runs, w.name, r.wall())
			if round > 0 {
				c.results[i] = append(c.results[i], r)
			}
		}
	}
	return nil
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// run runs a way once and removes what it made.
func (s *scene) run(ctx context.Context, w way) (r result, err error) {
	p := place{dir: filepath.Join(s.dir, "work")}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return r, err
	}
	defer os.RemoveAll(p.dir)
	if p.bucket, err = s.store.create(ctx); err != nil {
		return r, err
	}
	if err := s.footing.level(ctx); err != nil {
		return r, err
	}
	before, err := s.timesBeside()
	if err != nil {
		return r, err
	}
	var printed bytes.Buffer
	for _, cmd := range w.steps(p) {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if w.reports {
			cmd.Stdout = &printed
		}
		u, err := peak.Run(cmd)
		if err != nil {
			return r, err
		}
		if !w.ours {
			named(u, filepath.Base(cmd.Args[0]))
		}
		r.Add(u)
	}
	after, err := s.timesBeside()
	if err != nil {
		return r, err
	}
	r.beside = map[string]time.Duration{theRest: after[theRest] - before[theRest] - r.CPU}
	for name, cpu := range after {
		if name != theRest {
			r.beside[name] = cpu - before[name]
			r.beside[theRest] -= r.beside[name]
		}
	}
	if w.reports {
		t, err := parseTaken(printed.Bytes())
		if err != nil {
			return r, err
		}
		r.keys = t.LiveKeys
		r.save, _ = during(t.Timings, "save")
		r.readBack, r.readBackOnly = during(t.Timings, readBack)
	}
	if r.stored, err = s.storedBy(ctx, w, p); err != nil {
		return r, err
	}
	return r, s.store.remove(ctx, p.bucket)
}

// named gives the memory of a rival's first process, which is Lifeboat's main otherwise, the name of its program.
func named(u peak.Usage, program string) {
	for _, kinds := range []map[string]int64{u.Anon, u.Mapped} {
		kinds[program] = max(kinds[program], kinds["main"])
		delete(kinds, "main")
	}
}

func (s *scene) storedBy(ctx context.Context, w way, p place) (n int64, err error) {
	if w.keeps == nil {
		return s.store.size(ctx, p.bucket)
	}
	for _, path := range w.keeps(p) {
		more, err := allocated(path)
		if err != nil {
			return 0, err
		}
		n += more
	}
	return n, nil
}

// allocated is how much of the disk a file or a folder takes, in bytes: a hole takes nothing.
func allocated(path string) (n int64, err error) {
	err = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && !d.IsDir() {
			n += stat.Blocks * 512
		}
		return nil
	})
	return n, err
}
