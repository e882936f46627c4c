package scheduler

import "time"

const (
	// longestLook is how far Longest looks: a year with all its Sundays and its changes of the clock, and a bit.
	longestLook = 400 * 24 * time.Hour
	// mostSlots bounds that for schedules with many slots. It is a year of one every quarter of an hour.
	mostSlots = 40_000
)

// Longest returns the longest time between two slots that follow each other, of those after from: a year of them, or of one with very many
// the next months. Where a year has only one, it is the time from that to the next; 0 if there are no two.
func (s Schedule) Longest(from time.Time) (longest time.Duration) {
	if s.every > 0 {
		return s.every
	}
	slot := s.Next(from)
	for n, until := 0, from.Add(longestLook); n < mostSlots && !slot.IsZero() && (slot.Before(until) || longest == 0); n++ {
		next := s.Next(slot)
		if next.IsZero() {
			break
		}
		longest, slot = max(longest, next.Sub(slot)), next
	}
	return longest
}
