package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/lifeboat-dr/lifeboat/e2e/peak"
)

// report writes one table of all contests, and what each way does.
func report(out io.Writer, contests ...*contest) {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\twall s\tfrom – to\tCPU s\tlifeboat / this\tpeak anonymous memory, MiB")
	for _, c := range contests {
		fmt.Fprintf(tw, "%s\t\t\t\t\t\n", c.title)
		c.rows(tw)
	}
	tw.Flush()
	fmt.Fprintln(out, "\nWall time and CPU of the commands, the source's own CPU apart. Each way includes:")
	for _, c := range contests {
		for _, w := range c.ways {
			fmt.Fprintf(out, "- %s: %s.\n", w.name, w.does)
		}
	}
}

// rows writes medians, and how Lifeboat's wall time compares with each rival's.
func (c *contest) rows(out io.Writer) {
	ours := median(walls(c.runs[0]))
	for i, w := range c.ways {
		wall := walls(c.runs[i])
		ratio := "–"
		if i > 0 {
			ratio = fmt.Sprintf("%.2f", ours/median(wall))
		}
		var cpu []float64
		for _, u := range c.runs[i] {
			cpu = append(cpu, u.CPU.Seconds())
		}
		fmt.Fprintf(out, "  %s\t%.2f\t%.2f – %.2f\t%.2f\t%s\t%s\n",
			w.name, median(wall), slices.Min(wall), slices.Max(wall), median(cpu), ratio, peaks(c.runs[i]))
	}
}

func walls(runs []peak.Usage) (seconds []float64) {
	for _, u := range runs {
		seconds = append(seconds, u.Wall.Seconds())
	}
	return seconds
}

// peaks names the highest anonymous memory of each kind of process over all runs.
func peaks(runs []peak.Usage) string {
	var sum peak.Usage
	for _, u := range runs {
		sum.Add(u)
	}
	var all []string
	for kind, n := range sum.Anon {
		if n >= 1<<20 { // a shell is not worth a word
			all = append(all, fmt.Sprintf("%s %d", kind, n>>20))
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
