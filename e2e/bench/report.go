package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/peak"
)

// tableHead begins the one table of all databases. docs/benchmarks.md explains its columns.
const tableHead = `| | wall s | from – to | without read-back s | read-back s | CPU s | CPU s of others | lifeboat / this | stored MiB | written MiB | peak anonymous memory, MiB |
|---|---|---|---|---|---|---|---|---|---|---|
`

// row writes one line of a Markdown table.
func row(out io.Writer, cells ...string) {
	fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
}

// heading is a row that has a text in its first column only.
func heading(out io.Writer, text string) {
	row(out, append([]string{text}, make([]string, 10)...)...)
}

// rows writes what all ways of a database took: medians, the highest of all peaks of memory, and how Lifeboat compares with each rival.
func (o *outcome) rows(out io.Writer) {
	heading(out, fmt.Sprintf("**%s**: %.2f GiB, %.2f in use", o.database, gib(o.dbSize), gib(o.inUse)))
	for _, c := range o.contests {
		heading(out, "*"+c.title+"*")
		for i, w := range c.ways {
			c.row(out, w, c.results[i])
		}
	}
}

func (c *contest) row(out io.Writer, w way, results []result) {
	wall := each(results, result.wall)
	counted, back := "–", "–"
	if b := middle(results, func(r result) float64 { return r.readBack }); b > 0 {
		counted, back = seconds(middle(results, result.counted)), seconds(b)
	}
	row(
		out, w.name, seconds(median(wall)), seconds(slices.Min(wall))+" – "+seconds(slices.Max(wall)), counted, back,
		seconds(middle(results, func(r result) float64 { return r.CPU.Seconds() })), besideText(results), c.ratioText(w, results),
		mib(middle(results, func(r result) float64 { return float64(r.stored) })), mib(middle(results, func(r result) float64 { return float64(r.Written) })),
		peaks(results),
	)
}

// ratioText is how Lifeboat compares with a way: the counted times, and in brackets with the time in which it did nothing but read back.
func (c *contest) ratioText(w way, results []result) string {
	if !c.ways[0].ours || w.ours {
		return "–"
	}
	ours, this := c.results[0], middle(results, result.counted)
	text := fmt.Sprintf("%.2f", middle(ours, result.counted)/this)
	if whole := middle(ours, result.wall); whole > middle(ours, result.counted) {
		text += fmt.Sprintf(" (%.2f)", whole/this)
	}
	return text
}

func besideText(results []result) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(results[0].beside)) {
		cpu := middle(results, func(r result) float64 { return r.beside[name].Seconds() })
		if cpu >= 0.05 { // one that only lies there is not worth a word
			all = append(all, fmt.Sprintf("%s %.1f", name, cpu))
		}
	}
	if len(all) == 0 {
		return "–"
	}
	return strings.Join(all, ", ")
}

// peaks names the highest anonymous memory of each kind of process over all runs.
func peaks(results []result) string {
	var sum peak.Usage
	for _, r := range results {
		sum.Add(r.Usage)
	}
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(sum.Anon)) {
		if n := sum.Anon[kind]; n >= 1<<20 { // a shell is not worth a word
			all = append(all, fmt.Sprintf("%s %d", kind, n>>20))
		}
	}
	if len(all) == 0 {
		return "–"
	}
	return strings.Join(all, ", ")
}

// reportMachine sets every job of Lifeboat against what this machine takes for the least that can be done with as many bytes.
func reportMachine(out io.Writer, all []*outcome) {
	var table strings.Builder
	for _, o := range all {
		least := o.contest(machine)
		if least == nil {
			continue
		}
		for _, c := range o.contests {
			if !c.ways[0].ours {
				continue
			}
			cells := []string{o.String(), c.title}
			for _, results := range least.results {
				cells = append(cells, fmt.Sprintf("%.2f", middle(c.results[0], result.counted)/middle(results, result.counted)))
			}
			row(&table, cells...)
		}
	}
	if table.Len() > 0 {
		fmt.Fprintln(out, "\nLifeboat against the machine's own limits in this run, as ratios of wall time (backups without what was only read-back):")
		fmt.Fprint(out, "\n| database | job | / copy | / SHA-256 | / zstd -1 on all CPUs |\n|---|---|---|---|---|\n"+table.String())
	}
}

// reportChildren tells what has no limit of its own: the child that inspects, by the number of keys, and how long the source sends.
func reportChildren(out io.Writer, all []*outcome) {
	fmt.Fprintln(out)
	for _, o := range all {
		c := o.contest(backupDir)
		if c == nil {
			continue
		}
		ours := c.results[0]
		var highest peak.Usage
		for _, r := range ours {
			highest.Add(r.Usage)
		}
		keys := float64(ours[0].keys) / 1e6
		fmt.Fprintf(out, "- %s, backup to a directory: the child that inspects takes %.1f MB at most for %.2f million keys, %.1f MB per million",
			o.database, float64(highest.Anon["inspect"])/1e6, keys, float64(highest.Anon["inspect"])/1e6/keys)
		if save := middle(ours, func(r result) float64 { return r.save }); save > 0 {
			fmt.Fprintf(out, "; the source sent for %.2f s, where a bare save took %.2f s in all", save, middle(c.results[rival], result.counted))
		}
		fmt.Fprintln(out, ".")
	}
}

// reportWays says what each way includes, once.
func reportWays(out io.Writer, all []*outcome) {
	fmt.Fprintln(out, "\nEach way includes:")
	told := map[string]bool{}
	for _, o := range all {
		for _, c := range o.contests {
			for _, w := range c.ways {
				if !told[w.name] {
					fmt.Fprintf(out, "- %s: %s.\n", w.name, w.does)
				}
				told[w.name] = true
			}
		}
	}
	fmt.Fprintln(out)
}

func each(results []result, value func(result) float64) (all []float64) {
	for _, r := range results {
		all = append(all, value(r))
	}
	return all
}

// middle is the median of one value of all runs.
func middle(results []result, value func(result) float64) float64 {
	return median(each(results, value))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func seconds(s float64) string { return fmt.Sprintf("%.2f", s) }

func mib(bytes float64) string { return fmt.Sprintf("%.0f", bytes/(1<<20)) }

func gib(bytes int64) float64 { return float64(bytes) / (1 << 30) }

func rounded(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
