package retention

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// thin applies the policy to one lineage.
func (p Policy) thin(l *lineage) {
	newestFirst := slices.Clone(l.items)
	slices.Reverse(newestFirst)
	for _, i := range newestFirst {
		switch {
		case i.Excluded != "":
			i.keep("%s", i.Excluded)
		case i.Held:
			i.keep("held")
		}
		if i.future {
			i.keep("its date is still to come")
		}
	}
	for _, r := range p.rules() {
		r.apply(newestFirst)
	}
	p.within(newestFirst)
	p.floor(newestFirst)
	remember(newestFirst)
}

// A rule keeps the newest backup of each of the first n periods that have one.
type rule struct {
	name   string
	n      int
	period func(i *item) any // equal values are the same period
}

func (p Policy) rules() []rule {
	type day struct {
		year  int
		month time.Month
		day   int
	}
	return []rule{
		{"last", p.Last, func(i *item) any { return i }},
		{"hourly", p.Hourly, func(i *item) any { return i.Time.UTC().Truncate(time.Hour) }},
		{"daily", p.Daily, func(i *item) any {
			y, m, d := i.Time.UTC().Date()
			return day{y, m, d}
		}},
		{"weekly", p.Weekly, func(i *item) any {
			y, w := i.Time.UTC().ISOWeek()
			return [2]int{y, w}
		}},
		{"monthly", p.Monthly, func(i *item) any {
			y, m, _ := i.Time.UTC().Date()
			return day{y, m, 0}
		}},
		{"yearly", p.Yearly, func(i *item) any { return i.Time.UTC().Year() }},
	}
}

// apply goes from the newest to the oldest. What does not count is kept where it would be if it counted, and takes no place.
func (r rule) apply(newestFirst []*item) {
	var taken int
	var last any
	for _, i := range newestFirst {
		period := r.period(i)
		switch {
		case taken > 0 && period == last:
			continue
		case taken == r.n:
			return
		case i.counts():
			taken, last = taken+1, period
			i.keep("%s %d of %d", r.name, taken, r.n)
		default:
			i.keepUncounted(r.name)
		}
	}
}

func (i *item) keepUncounted(rule string) {
	if i.Broken != "" {
		i.keep("%s, not counted: %s", rule, i.Broken)
	}
}

// within keeps everything near enough to the newest that counts.
func (p Policy) within(newestFirst []*item) {
	n := slices.IndexFunc(newestFirst, (*item).counts)
	if n < 0 || p.Within == 0 {
		return
	}
	since := newestFirst[n].Time.Add(-p.Within)
	for _, i := range newestFirst {
		switch {
		case i.Time.Before(since):
		case i.counts():
			i.keep("within %s", durationText(p.Within))
		default:
			i.keepUncounted("within")
		}
	}
}

// durationText writes 720h rather than 720h0m0s.
func durationText(d time.Duration) string {
	text := d.String()
	for _, none := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, none) {
			text = strings.TrimSuffix(text, none[1:])
		}
	}
	return text
}

// floor keeps the newest that can be restored, the better proven first.
func (p Policy) floor(newestFirst []*item) {
	floor, taken := max(1, p.Floor), 0
	for _, class := range []struct {
		what string
		in   func(i *item) bool
	}{
		{"proven", func(i *item) bool { return i.counts() && i.Proven }},
		{"read back", func(i *item) bool { return i.counts() && !i.Proven && i.ReadBack }},
		{"not proven", func(i *item) bool { return i.counts() && !i.Proven && !i.ReadBack }},
		{"for want of better ones", func(i *item) bool { return i.Broken != "" }},
	} {
		for _, i := range newestFirst {
			if taken < floor && class.in(i) {
				taken++
				i.keep("floor %d of %d (%s)", taken, floor, class.what)
			}
		}
	}
}

// remember keeps what later decisions stand on: without it, what does not belong to a lineage would be taken for its continuation,
// an accepted lineage would be suspect again, or `latest` would be another. As a rule they are kept for other reasons already.
func remember(newestFirst []*item) {
	known := slices.DeleteFunc(slices.Clone(newestFirst), func(i *item) bool { return i.Excluded != "" })
	if len(known) == 0 {
		return
	}
	known[0].keepAtLeast("newest of its lineage")
	highest := slices.MaxFunc(known, func(a, b *item) int { return cmp.Compare(a.Revision, b.Revision) })
	highest.keepAtLeast("highest revision of its lineage")
	if n := slices.IndexFunc(known, func(i *item) bool { return i.Witness }); n >= 0 {
		known[n].keepAtLeast("its lineage is accepted because of it")
	}
}

// keepAtLeast gives the reason if there is no other.
func (i *item) keepAtLeast(reason string) {
	if len(i.reasons) == 0 {
		i.keep("%s", reason)
	}
}
