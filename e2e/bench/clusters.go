package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/peak"
)

// manyClusters is one process that backs up a lot of small clusters.
const manyClusters = "clusters"

const (
	manySize    = 50 // MiB of each database
	manySources = 4  // real ones, which stand behind all names: the machine that is measured has to run them
	manyAtOnce  = 8
)

// many is what it took.
type many struct {
	peak.Usage
	clusters int
	took     time.Duration // from the start of the process to the end of the last backup
	bytes    int64         // of all databases
	stored   int64
	sources  time.Duration // their CPU
}

// benchMany starts `lifeboat run` with clusters none of which has a backup yet, so that each is backed up once, and ends it when all are.
func benchMany(ctx context.Context, p programs, f *footing, parent string, clusters int) (m many, err error) {
	dir := filepath.Join(parent, "many")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	var sources []*source
	defer func() {
		for _, s := range sources {
			err = errors.Join(err, s.stop())
		}
	}()
	for i := range manySources {
		s, err := startSource(ctx, p.etcd, dir, fmt.Sprintf("source-%d", i+1), database{mib: manySize})
		if err != nil {
			return m, err
		}
		sources = append(sources, s)
	}
	text := ""
	for n := range clusters {
		s := sources[n%manySources]
		text += fmt.Sprintf("- {name: c%03d, endpoints: [%q], sinks: [here], schedule: %q}\n", n, s.endpoint, farFrom(time.Now(), 3))
		m.bytes += s.dbSize
	}
	config, err := writeService(p.lifeboat, dir, text)
	if err != nil {
		return m, err
	}
	if err := f.level(ctx); err != nil {
		return m, err
	}
	progress("%d clusters of %d MiB, %d at a time", clusters, manySize, manyAtOnce)
	before, err := cpuOfAll(sources)
	if err != nil {
		return m, err
	}
	cmd := exec.CommandContext(ctx, p.lifeboat, "run", "--config", config, "--parallel", fmt.Sprint(manyAtOnce), "--spool-dir", dir)
	watch := &jobWatch{waitsFor: clusters, began: time.Now(), over: func() { _ = cmd.Process.Signal(syscall.SIGTERM) }}
	cmd.Stderr = watch
	if m.Usage, err = peak.Run(cmd); err != nil {
		return m, fmt.Errorf("%w\n%s", err, &watch.trouble)
	}
	after, err := cpuOfAll(sources)
	if err != nil {
		return m, err
	}
	m.clusters, m.took, m.sources = clusters, watch.took, after-before
	if watch.done < clusters {
		return m, fmt.Errorf("only %d of %d clusters were backed up\n%s", watch.done, clusters, &watch.trouble)
	}
	m.stored, err = allocated(filepath.Join(dir, "service"))
	return m, err
}

func cpuOfAll(sources []*source) (all time.Duration, err error) {
	for _, s := range sources {
		cpu, err := cpuOf(s.process.Pid())
		if err != nil {
			return 0, err
		}
		all += cpu
	}
	return all, nil
}

// jobWatch reads the log of a service and calls over when so many jobs have ended.
type jobWatch struct {
	waitsFor int
	began    time.Time
	over     func()

	line        []byte
	ended, done int
	took        time.Duration
	trouble     bytes.Buffer // what it warned of
}

func (w *jobWatch) Write(p []byte) (int, error) {
	for _, c := range p {
		if w.line = append(w.line, c); c == '\n' {
			w.read(string(w.line))
			w.line = w.line[:0]
		}
	}
	return len(p), nil
}

func (w *jobWatch) read(line string) {
	switch {
	case strings.Contains(line, `msg="job done"`):
		w.done++
		w.ended++
	case strings.Contains(line, `msg="job failed"`), strings.Contains(line, `msg="job partly done"`):
		w.ended++
	}
	if !strings.HasPrefix(line, "level=INFO") && w.trouble.Len() < 4000 {
		w.trouble.WriteString(line)
	}
	if w.ended == w.waitsFor && w.took == 0 {
		w.took = time.Since(w.began)
		w.over()
	}
}

func (m many) report(out io.Writer) {
	fmt.Fprintf(out, "%d clusters of %.0f MiB, backed up into a directory by one process with --parallel %d: %s, %.0f MiB/s of databases, %.0f backups a minute; "+
		"%.1f s of CPU, the %d sources' %.1f s apart; %.0f MiB stored, %.0f MiB written; main %d MiB, main and its children together %d MiB at most\n",
		m.clusters, float64(m.bytes)/float64(m.clusters)/(1<<20), manyAtOnce, rounded(m.took), float64(m.bytes)/(1<<20)/m.took.Seconds(),
		float64(m.clusters)/m.took.Minutes(), m.CPU.Seconds(), manySources, m.sources.Seconds(), float64(m.stored)/(1<<20), float64(m.Written)/(1<<20),
		m.Anon["main"]>>20, m.Together>>20)
	reportLimits(out, []limit{{what: fmt.Sprintf("%d clusters, memory of all processes together", m.clusters), most: 600, measured: megabytes(m.Together), unit: " MB"}})
	fmt.Fprintln(out)
}
