package scheduler

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a static binary in an empty image has no zones of its own

	"github.com/robfig/cron/v3"
)

// A Schedule says when the slots of a job are. The zero value has none.
type Schedule struct {
	text  string
	zone  *time.Location
	every time.Duration // of @every; then there is no spec
	spec  *cron.SpecSchedule
}

// everyHour are the bits of a cron hour field that names no hours.
const everyHour = 1<<24 - 1

// ParseSchedule reads five cron fields (minute, hour, day of month, month, day of week), one of @hourly, @daily, @midnight, @weekly,
// @monthly, @yearly, @annually, or @every with a duration of whole seconds. The time zone is UTC unless zone names another, and before both
// goes CRON_TZ=NAME at the beginning of the text.
//
// @every counts from the first second of 1970 in UTC, not from when the process started: its slots are the same after a restart.
func ParseSchedule(text, zone string) (Schedule, error) {
	fields := strings.TrimSpace(text)
	if rest, found := strings.CutPrefix(fields, "CRON_TZ="); found {
		zone, fields, _ = strings.Cut(rest, " ")
		fields = strings.TrimSpace(fields)
	}
	if strings.HasPrefix(fields, "TZ=") {
		return Schedule{}, fmt.Errorf("schedule %q: a time zone is written CRON_TZ=NAME", text)
	}
	s := Schedule{text: strings.Join(strings.Fields(fields), " ")}
	if s.text == "" {
		return Schedule{}, fmt.Errorf("schedule %q: it is empty", text)
	}
	var err error
	if s.zone, err = time.LoadLocation(zone); err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %q is not a time zone such as Europe/Berlin", text, zone)
	}
	if length, found := strings.CutPrefix(s.text, "@every "); found {
		s.every, err = time.ParseDuration(length)
		if err != nil || s.every < time.Second || s.every%time.Second != 0 {
			return Schedule{}, fmt.Errorf("schedule %q: @every takes a duration of whole seconds, such as 90m", text)
		}
		return s, nil
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).Parse(s.text)
	spec, ok := parsed.(*cron.SpecSchedule)
	if err != nil || !ok {
		return Schedule{}, fmt.Errorf("schedule %q: %w", text, orNotCron(err))
	}
	spec.Location = time.UTC // it is only ever asked about clocks on a wall, see Next
	s.spec = spec
	if s.spec.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, fmt.Errorf("schedule %q: there is no such day in any year", text)
	}
	return s, nil
}

func orNotCron(err error) error {
	if err == nil {
		return fmt.Errorf("it is neither five cron fields nor @every with a duration")
	}
	return err
}

// String returns the schedule as it was written, with its time zone.
func (s Schedule) String() string { return s.text + " " + s.zone.String() }

// Text returns the schedule as it was written, without its time zone.
func (s Schedule) Text() string { return s.text }

// Zone returns the name of the time zone.
func (s Schedule) Zone() string { return s.zone.String() }

// Next returns the first slot after t; the zero time if there is none.
//
// A slot is a time on the clock on the wall. One that the clock jumps over in spring is at the moment of the jump, and several such are one.
// Of one that comes twice in autumn the first counts, unless the schedule is for every hour: then it is meant as a distance, and both count.
func (s Schedule) Next(t time.Time) time.Time {
	t = t.Round(0) // never by the monotonic clock, which stands still while a machine sleeps
	switch {
	case s.every > 0:
		period := int64(s.every / time.Second)
		return time.Unix((t.Unix()/period+1)*period, 0).In(s.zone)
	case s.spec == nil:
		return time.Time{}
	}
	t = t.In(s.zone)
	for {
		next, found := s.inSeason(t)
		if found || next.IsZero() {
			return next
		}
		t = next.Add(-1) // its own first moment is a candidate
	}
}

// inSeason looks for the first slot after t before the clock on the wall is changed the next time. If there is none it returns the moment of
// that change, which is a slot itself (and found) where the clock jumps over one.
func (s Schedule) inSeason(t time.Time) (next time.Time, found bool) {
	// The season is that of the moment after t, so that the last moment before a change belongs to what comes.
	began, ends := t.Add(1).ZoneBounds()
	offset := offsetAt(t.Add(1))
	wall := onWall(t, offset)
	if !began.IsZero() && s.spec.Hour&everyHour != everyHour {
		if repeated := onWall(began, offsetAt(began.Add(-1))); wall.Before(repeated) { // the clock was set back
			wall = repeated.Add(-1)
		}
	}
	slot := s.spec.Next(wall)
	if slot.IsZero() {
		return time.Time{}, false
	}
	at := slot.Add(-offset)
	if ends.IsZero() || at.Before(ends) {
		return at.In(s.zone), true
	}
	return ends, slot.Before(onWall(ends, offsetAt(ends)))
}

// onWall is what a clock with this offset shows at t, as if it stood in Greenwich.
func onWall(t time.Time, offset time.Duration) time.Time { return t.UTC().Add(offset) }

func offsetAt(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}
