package main

import (
	"fmt"
	"io"
	"math"
)

// rival is where the first rival stands among the ways of a contest: the bare save in backupDir, the pipeline of stock tools in the others.
const rival = 1

// countsFrom is the size in MiB from which ratios are promised. Of smaller databases they are mostly what a process costs that starts.
const countsFrom = 2048

// A limit is what the project promises of a figure.
type limit struct {
	what           string
	most, measured float64
	unit           string
	apart          bool // told, but nothing is promised of it
}

func (l limit) String() string {
	verdict := "ok"
	switch {
	case l.apart:
		verdict = fmt.Sprintf("not promised below %d MiB", countsFrom)
	case !(l.measured <= l.most): // not a number is not kept either
		verdict = "MISSED"
	}
	return fmt.Sprintf("%s: limit %.4g%s, measured %.4g%s: %s", l.what, l.most, l.unit, l.measured, l.unit, verdict)
}

// reportLimits only tells: another machine may be another, and that is no failure of the benchmark.
func reportLimits(out io.Writer, limits []limit) {
	if len(limits) > 0 {
		fmt.Fprintln(out, "\nLimits:")
	}
	for _, l := range limits {
		fmt.Fprintln(out, "-", l)
	}
}

// checkDatabases holds every database to the limits that its contests can tell of, and the plain ones to how figures may grow.
func checkDatabases(all []*outcome) (limits []limit) {
	for _, o := range all {
		for _, r := range []struct {
			contest string
			most    float64
		}{{backupDir, 1.25}, {backupMinIO, 0.9}, {restoreThree, 0.4}, {restoreOne, 0.8}} {
			if c := o.contest(r.contest); c != nil {
				limits = append(limits, limit{
					what: fmt.Sprintf("%s, %s / %s", o.database, c.title, c.ways[rival].name), most: r.most, apart: o.mib < countsFrom,
					measured: middle(c.results[0], result.counted) / middle(c.results[rival], result.counted),
				})
			}
		}
		for _, c := range o.contests {
			if c.ways[0].ours {
				limits = append(limits, limit{what: fmt.Sprintf("%s, %s, memory of main", o.database, c.title), most: 150, measured: c.mainPeak(), unit: " MB"})
			}
		}
	}
	return append(limits, checkGrowth(all)...)
}

// checkGrowth compares the largest of the databases without free pages with the smallest, for memory, and with the next one, for the cost per GiB.
func checkGrowth(all []*outcome) (limits []limit) {
	var plain []*outcome // as they were asked for: small ones first
	for _, o := range all {
		if !o.half {
			plain = append(plain, o)
		}
	}
	if len(plain) < 2 {
		return nil
	}
	first, before, last := plain[0], plain[len(plain)-2], plain[len(plain)-1]
	for _, c := range last.contests {
		if small := first.contest(c.name); c.ways[0].ours && small != nil {
			limits = append(limits, limit{
				what: fmt.Sprintf("%s, growth of main's memory from %s to %s", c.title, first.database, last.database), most: 10, unit: " MB",
				measured: c.mainPeak() - small.mainPeak(),
			})
		}
	}
	for _, name := range []string{backupDir, backupMinIO, restoreThree, restoreOne} {
		smaller, larger := before.contest(name), last.contest(name)
		if smaller == nil || larger == nil {
			continue
		}
		growth := func(way int, of func(result) float64) float64 {
			return middle(larger.results[way], of) / gib(last.dbSize) / (middle(smaller.results[way], of) / gib(before.dbSize))
		}
		sizes := fmt.Sprintf("per GiB at %s / at %s", last.database, before.database)
		grows := func(what string, measured float64) {
			limits = append(limits, limit{what: larger.title + ", " + what, most: 1.15, apart: before.mib < countsFrom, measured: measured})
		}
		wall := func(what string, of func(result) float64) {
			grows(fmt.Sprintf("%s %s (of %s %.3g)", what, sizes, larger.ways[rival].name, growth(rival, of)), growth(0, of))
		}
		wall("wall time", result.wall)
		if name == backupDir || name == backupMinIO { // which read back what they stored
			wall("wall time without read-back", result.counted)
			grows(fmt.Sprintf("wall time without read-back %s, divided by that of %s", sizes, larger.ways[rival].name), growth(0, result.counted)/growth(rival, result.counted))
		}
		grows("Lifeboat's CPU "+sizes, growth(0, func(r result) float64 { return r.CPU.Seconds() }))
	}
	return limits
}

// mainPeak is the highest anonymous memory of Lifeboat's streaming process over all runs, in MB.
func (c *contest) mainPeak() (mb float64) {
	for _, r := range c.results[0] {
		mb = max(mb, megabytes(r.Anon["main"])) // not a number if any is not
	}
	return mb
}

// megabytes of memory that was measured: no process takes none, so 0 is no measurement, and keeps no limit.
func megabytes(bytes int64) float64 {
	if bytes <= 0 {
		return math.NaN()
	}
	return float64(bytes) / 1e6
}
