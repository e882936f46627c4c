package scheduler_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifeboat-dr/lifeboat/scheduler"
)

func schedule(t testing.TB, text, zone string) scheduler.Schedule {
	t.Helper()
	s, err := scheduler.ParseSchedule(text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestSlotsAroundAChangeOfTheClock(t *testing.T) {
	for _, test := range []struct {
		name, schedule, zone, after string
		slots                       string
	}{
		{"one that the clock jumps over is at the jump", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00"},
		{"several that it jumps over are one", "0,10,50 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00 2026-03-30T02:00:00+02:00"},
		{"one at the jump is not another", "30 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00 2026-03-29T03:30:00+02:00"},
		{"the end of the jump itself", "0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00 2026-03-30T02:00:00+02:00"},
		{"of one that comes twice the first counts", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00"},
		{"also if asked between the two", "30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", "2026-10-26T02:30:00+01:00"},
		{"also if asked after the first and in the second hour", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-26T02:30:00+01:00"},
		{"every hour goes on through both", "30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T02:30:00+02:00 2026-10-25T02:30:00+01:00 2026-10-25T03:30:00+01:00"},
		{"every quarter of an hour, too", "*/15 * * * *", "America/New_York", "2026-11-01T05:40:00Z", "2026-11-01T01:45:00-04:00 2026-11-01T01:00:00-05:00 2026-11-01T01:15:00-05:00"},
		{"in New York in spring", "30 2 * * *", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-08T03:00:00-04:00 2026-03-09T02:30:00-04:00"},
		{"half an hour is jumped over", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-04T02:30:00+11:00 2026-10-05T02:15:00+11:00"},
		{"what lies after that half hour is not", "45 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-04T02:45:00+11:00 2026-10-05T02:45:00+11:00"},
		{"half an hour comes twice", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-05T01:45:00+11:00 2026-04-06T01:45:00+10:30"},
		{"what lies before that half hour does not", "15 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-05T01:15:00+11:00 2026-04-06T01:15:00+10:30"},
		{"a zone without changes", "0 3 * * 1", "Asia/Shanghai", "2026-03-29T00:00:00Z", "2026-03-30T03:00:00+08:00 2026-04-06T03:00:00+08:00"},
		{"UTC unless a zone is named", "@daily", "", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"},
		{"a zone in the text", "CRON_TZ=Europe/Berlin 0 3 * * *", "", "2026-07-01T00:00:00Z", "2026-07-01T03:00:00+02:00"},
		{"which goes before the other", "CRON_TZ=America/New_York 0 3 * * *", "Europe/Berlin", "2026-07-01T00:00:00Z", "2026-07-01T03:00:00-04:00"},
		{"the 29th of February", "0 0 29 2 *", "", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"@every has the same slots whenever it is asked", "@every 90m", "Europe/Berlin", "1970-01-01T00:10:00Z", "1970-01-01T02:30:00+01:00 1970-01-01T04:00:00+01:00"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, at := schedule(t, test.schedule, test.zone), moment(t, test.after)
			for _, want := range strings.Fields(test.slots) {
				at = s.Next(at)
				if got := at.Format(time.RFC3339); got != want {
					t.Fatalf("%s: %s, want %s", s, got, want)
				}
			}
		})
	}
}

// TestSlotsOfAYearAreThoseOfTheClockOnTheWall compares with the slow and plain way: look at the clock on the wall every minute of the year.
func TestSlotsOfAYearAreThoseOfTheClockOnTheWall(t *testing.T) {
	t.Parallel()
	// In Santiago and Cairo clocks jump over midnight, in Casablanca they are set back for the month of Ramadan.
	for _, zone := range append(zones(), "America/Santiago", "Africa/Cairo", "Africa/Casablanca") {
		began := moment(t, "2026-01-01T00:00:00Z")
		wall := watchWall(t, zone, began, moment(t, "2027-01-01T00:00:00Z"))
		for _, text := range []string{"0 0 * * *", "44 1 * * *", "0 2 * * *", "30 2 * * *", "0 3 * * *", "59 23 * * *", "10 */2 * * *", "5 * * * *", "*/20 * * * *", "* 2 * * *"} {
			s := schedule(t, text, zone)
			slot, want := began, wall.slots(text)
			for i, w := range want {
				if slot = s.Next(slot); !slot.Equal(w) {
					t.Fatalf("%s: slot %d is %s, want %s", s, i, slot, w.In(slot.Location()))
				}
			}
			if len(want) < 364 {
				t.Fatalf("%s: the plain way finds only %d slots", s, len(want))
			}
		}
	}
}

func zones() []string {
	return []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"}
}

// wall is what a clock on the wall showed at every minute of a time, as minutes since some midnight.
type wall struct {
	at    []time.Time
	shown []int
}

func watchWall(t testing.TB, zone string, after, before time.Time) (w wall) {
	t.Helper()
	where, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	midnight := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	for at := after; at.Before(before); at = at.Add(time.Minute) {
		l := at.In(where)
		w.at = append(w.at, at)
		w.shown = append(w.shown, int(time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC).Sub(midnight)/time.Minute))
	}
	return w
}

// slots are the minutes at which a time of a schedule (of minutes and hours only) is shown or was just jumped over. What was shown before does not count
// again, except where the schedule is for every hour.
func (w wall) slots(text string) (all []time.Time) {
	fields := strings.Fields(text)
	var fits [24 * 60]bool
	for m := range fits {
		fits[m] = fieldFits(fields[0], m%60) && fieldFits(fields[1], m/60)
	}
	high := w.shown[0]
	for i, shown := range w.shown[1:] {
		if fields[1] == "*" && shown <= high {
			high = shown - 1
		}
		for m := high + 1; m <= shown; m++ {
			if fits[m%len(fits)] {
				all = append(all, w.at[i+1])
				break
			}
		}
		high = max(high, shown)
	}
	return all
}

func fieldFits(field string, n int) bool {
	if step, found := strings.CutPrefix(field, "*/"); found {
		by, err := strconv.Atoi(step)
		return err == nil && n%by == 0
	}
	return field == "*" || field == strconv.Itoa(n)
}

func TestWhatIsNoScheduleIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		"":                            "empty",
		"* * * *":                     "fields",
		"0 0 3 * * *":                 "fields", // seconds are not offered
		"61 * * * *":                  "61",
		"0 3 31 2 *":                  "no such day",
		"@every 500ms":                "whole seconds",
		"@every 0s":                   "whole seconds",
		"@every -5m":                  "whole seconds",
		"@every day":                  "whole seconds",
		"@reboot":                     "@reboot",
		"TZ=UTC 0 3 * * *":            "CRON_TZ",
		"CRON_TZ=Mars/Base 0 3 * * *": "Mars/Base",
		"CRON_TZ=UTC":                 "empty",
	} {
		if s, err := scheduler.ParseSchedule(text, ""); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is %s, %v; want an error with %q", text, s, err, says)
		}
	}
}

func TestTheLongestTimeBetweenTwoSlots(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for spec, want := range map[string]time.Duration{
		"*/15 * * * *": 15 * time.Minute, "@every 90m": 90 * time.Minute, "@hourly": time.Hour, "0 3 * * *": 25 * time.Hour, "0 3 * * 0": 7*24*time.Hour + time.Hour,
		"0 0 1 * *": 31*24*time.Hour + time.Hour, "@yearly": 365 * 24 * time.Hour, "0 0 29 2 *": 1461 * 24 * time.Hour, "*/5 8-18 * * 1-5": 62*time.Hour + 5*time.Minute,
	} {
		if got := schedule(t, spec, "Europe/Berlin").Longest(from); got != want {
			t.Errorf("%s: %s instead of %s", spec, got, want)
		}
	}
	if got := (scheduler.Schedule{}).Longest(from); got != 0 {
		t.Errorf("without a schedule it is %s", got)
	}
	j := scheduler.Job{Cluster: "a", Name: "backup", Schedule: schedule(t, "0 * * * *", ""), Jitter: time.Minute}
	if at := j.Begins(from); at.Before(from.Add(time.Hour)) || at.After(from.Add(time.Hour+time.Minute)) || !(scheduler.Job{}).Begins(from).IsZero() {
		t.Errorf("it begins at %s", at)
	}
}

func TestALoopThatGoesRoundIsSeenToDoSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scheduler.New(scheduler.Options{})
		if !s.Turned().IsZero() {
			t.Error("it goes round before it runs")
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx, nil); close(ended) }()
		for range 100 {
			time.Sleep(97 * time.Second)
			if still := time.Since(s.Turned()); still > time.Minute {
				t.Fatalf("it stood still for %s", still)
			}
		}
		stop()
		<-ended
	})
}
