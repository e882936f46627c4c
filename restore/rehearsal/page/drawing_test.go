package page

import (
	"testing"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

// TestDrawingsStayWithinTheirFrame whatever the figures are.
func TestDrawingsStayWithinTheirFrame(t *testing.T) {
	t.Parallel()
	within := func(what string, all ...share) {
		for _, s := range all {
			if !(s >= 0 && s <= 1+1e-9) { // NaN neither
				t.Errorf("%s: %s", what, s)
			}
		}
	}
	for _, seconds := range []float64{0, 1e-9, 0.7, 9.99, 10, 12345, 1e12} {
		r := sample()
		r.RTOSeconds = seconds
		for i := range r.Phases {
			r.Phases[i].Seconds = seconds * float64(i*i)
		}
		line := timelineOf(r)
		within("recovered", line.Recovered)
		for _, b := range line.Bars {
			within(b.Name, b.From, b.Width, b.From+b.Width)
		}
		for _, runs := range []int{0, 1, 2, 50} {
			past := catalog.PastReports{}
			for i := range runs {
				past.Reports = append(past.Reports, catalog.Report{OK: i%3 > 0, Rehearsal: &catalog.Rehearsal{Members: 3, RTOSeconds: seconds / float64(1+i)}})
			}
			r.Follow(past)
			c := chartOf(r)
			within("median", c.Median)
			for _, p := range c.Points {
				within(p.Kind, p.X, p.Y)
			}
			for _, l := range c.Lines {
				within("line", l.X1, l.Y1, l.X2, l.Y2)
			}
		}
	}
}

func TestTheTimelineTellsRecoveryFromTheRest(t *testing.T) {
	t.Parallel()
	line := timelineOf(&rehearsal.Report{RTOSeconds: 3, Phases: []rehearsal.Phase{
		{Name: "fetch", Seconds: 1, InRTO: true}, {Name: "boot", Seconds: 2, InRTO: true}, {Name: "checks", Seconds: 9},
	}})
	if line.Recovered != 0.25 || line.Bars[1].From.String() != "8.33%" || line.Bars[1].Width.String() != "16.67%" || line.Bars[2].From != 0.25 || line.Bars[2].Width != 0.75 {
		t.Errorf("%+v", line)
	}
}

func TestFiguresAreWordedForPeople(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		duration(0): "< 0.1 s", duration(0.05): "0.1 s", duration(12.34): "12.3 s", duration(125): "2 min 5 s", duration(90061): "25 h 1 min", duration(200000): "2 days 7 h",
		size(0): "0 B", size(1023): "1023 B", size(1536): "1.5 KiB", size(5 << 40): "5.0 TiB", size(5 << 50): "5120.0 TiB",
		number(7): "7", number(1234567): "1\u202f234\u202f567", number(-123): "-123", number(-1234): "-1\u202f234",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for v, want := range map[float64]float64{0: 1, 0.7: 0.8, 1: 1, 12.3: 15, 14: 15, 99: 100, 101: 150} {
		if got := roundUp(v); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%f is rounded to %f, want %f", v, got, want)
		}
	}
}
