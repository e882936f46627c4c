package page

import (
	"fmt"
	"math"

	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

// The drawings are in per cent of their own width, and text and dots in pixels: so they fit a phone and a sheet of paper alike.

// A timeline is the phases one after the other.
type timeline struct {
	Bars      []bar
	Recovered share  // where the recovery ends
	Recovery  string // how long it took
	Total     string
}

type bar struct {
	rehearsal.Phase
	From, Width share
	Took        string
	Spoken      string // for who does not see it
}

// A share is a part of the whole, written in per cent.
type share float64

func (s share) String() string { return fmt.Sprintf("%.2f%%", 100*float64(s)) }

// thinnest is the share that a bar has at least, or nobody would see it.
const thinnest = 0.012

func timelineOf(r *rehearsal.Report) timeline {
	total := 0.0
	for _, p := range r.Phases {
		total += p.Seconds
	}
	t := timeline{Recovery: duration(r.RTOSeconds), Total: duration(total)}
	if total == 0 {
		return t
	}
	at := 0.0
	for _, p := range r.Phases {
		b := bar{Phase: p, Took: duration(p.Seconds)}
		b.Width = share(max(p.Seconds/total, thinnest))
		b.From = min(share(at/total), 1-b.Width)
		b.Spoken = fmt.Sprintf("from %.1f s to %.1f s", at, at+p.Seconds)
		at += p.Seconds
		if p.InRTO {
			t.Recovered = share(at / total)
		}
		t.Bars = append(t.Bars, b)
	}
	return t
}

// A chart is how long recovery took, run by run.
type chart struct {
	*rehearsal.Trend
	Points []point
	Lines  []line // between those that are compared
	Median share
	Top    string // what the upper edge stands for
	First  string // the date at the left edge
	Spoken string
	Latest []pastRun // the last of the past, newest first
	More   int       // older ones that the table leaves out
}

type point struct {
	X, Y share
	Kind string // this, like, other, failed
	Took string
}

type line struct{ X1, Y1, X2, Y2 share }

type pastRun struct {
	rehearsal.PastRun
	When, Took, Size string
}

const (
	tabled = 10   // how many runs of the past the table shows
	margin = 0.02 // left and right of the dots
	lid    = 0.08 // above the highest
)

func chartOf(r *rehearsal.Report) *chart {
	c := &chart{Trend: r.Trend}
	highest := r.RTOSeconds
	for _, run := range r.Trend.Runs {
		highest = max(highest, run.RTOSeconds)
	}
	top := roundUp(highest)
	c.Top = duration(top)
	height := func(seconds float64) share { return share(1 - (1-lid)*seconds/top) }
	step := (1 - 2*margin) / float64(max(len(r.Trend.Runs), 1))
	for i, run := range r.Trend.Runs {
		p := point{share(margin + step*float64(i)), height(run.RTOSeconds), "other", duration(run.RTOSeconds)}
		switch {
		case !run.Passed:
			p.Kind = "failed"
		case run.Compared:
			p.Kind = "like"
		}
		c.add(p)
	}
	if r.RTOSeconds > 0 {
		c.add(point{1 - margin, height(r.RTOSeconds), "this", duration(r.RTOSeconds)})
	}
	c.Median = height(r.Trend.MedianSeconds)
	c.describe(r)
	return c
}

// add draws a line from the last comparable point to this one, if it is comparable too.
func (c *chart) add(p point) {
	comparable := func(p point) bool { return p.Kind == "like" || p.Kind == "this" }
	if comparable(p) {
		for i := len(c.Points) - 1; i >= 0; i-- {
			if last := c.Points[i]; comparable(last) {
				c.Lines = append(c.Lines, line{last.X, last.Y, p.X, p.Y})
				break
			}
		}
	}
	c.Points = append(c.Points, p)
}

func (c *chart) describe(r *rehearsal.Report) {
	if len(c.Runs) > 0 {
		c.First = c.Runs[0].Time.UTC().Format("2 Jan 2006")
	}
	c.Spoken = "Recovery took " + recovery(r) + " in this rehearsal"
	if r.RTOSeconds == 0 {
		c.Spoken = "This rehearsal did not come so far that its recovery was measured"
	}
	if text := c.Trend.String(); text != "" {
		c.Spoken += "; " + text
	}
	for i := len(c.Runs) - 1; i >= 0 && len(c.Latest) < tabled; i-- {
		run := c.Runs[i]
		c.Latest = append(c.Latest, pastRun{run, run.Time.UTC().Format("2006-01-02 15:04"), duration(run.RTOSeconds), size(run.PlainBytes)})
	}
	c.More = len(c.Runs) - len(c.Latest)
}

// roundUp gives the upper edge of a chart a number that people would choose.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8, 10} {
		if step*power >= v {
			return step * power
		}
	}
	return v
}
