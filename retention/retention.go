// Package retention decides which backups are kept, and why. It only decides: it reads no clock, removes nothing, and knows neither
// sinks nor manifests.
//
// It refuses to count what proves nothing: a backup whose date is still to come, that was found damaged or that nobody vouches for never
// takes the place of another. Every rule counts within one lineage, back from that lineage's newest backup and never from now,
// so a cluster that was wiped, or weeks in which every backup failed, age out nothing.
package retention

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// DefaultFloor is the floor where none was chosen.
const DefaultFloor = 3

// A Policy says what to keep of each lineage; what any rule keeps is kept. Hours, days, ISO weeks, months and years are those of UTC, so
// that every machine that prunes decides alike. The zero of a rule turns it off.
type Policy struct {
	Last    int           // the newest so many
	Hourly  int           // the newest of each hour, of so many hours that have one
	Daily   int           // the same for days
	Weekly  int           // for weeks, which begin on Monday
	Monthly int           // for months
	Yearly  int           // for years
	Within  time.Duration // everything not older than the lineage's newest by more than this
	// Floor is how many restorable backups of each lineage are kept whatever the rules say: proven ones first, then ones that were read
	// back when they were made, then any. Less than 1 counts as 1.
	Floor int
	// All lifts the limit of one run, which is a fifth of the backups, at least one.
	All bool
}

// Empty reports whether no rule is set. The floor is none.
func (p Policy) Empty() bool {
	return p.Last == 0 && p.Hourly == 0 && p.Daily == 0 && p.Weekly == 0 && p.Monthly == 0 && p.Yearly == 0 && p.Within == 0
}

// A Backup is what there is to know of one for the decision.
type Backup struct {
	ID       string
	Time     time.Time // when it was begun
	Revision int64     // of etcd: within one lineage a higher one is a later state; also orders backups of the same time
	Sequence int64     // how many were seen before it, plus one; orders lineages where clocks were wrong, and backups of the same time and revision

	Lineage  string    // name of its lineage
	Begun    time.Time // when that lineage began
	Accepted bool      // the lineage is accepted; a lineage with one backup that is not is suspect
	Witness  bool      // the lineage is accepted because of this backup, or of another like it

	Held     bool   // a person forbade its removal
	Proven   bool   // opened and looked into, or rehearsed, after it was made
	ReadBack bool   // read back, decrypted and compared when it was made
	Broken   string // why it could not be restored; counts for nothing then, but is not removed sooner for it
	Excluded string // why it is neither counted nor removed
}

// A Verdict is what becomes of a backup.
type Verdict string

// The verdicts.
const (
	Keep   Verdict = "keep"
	Remove Verdict = "remove"
	Frozen Verdict = "frozen" // a newer lineage is suspect, and none accepted that is newer still: nothing of this one is removed, whatever the rules say
	Later  Verdict = "later"  // it goes in a later run, because of the limit of one
)

// A Decision is a verdict with its reasons. No reason means Remove.
type Decision struct {
	ID      string
	Verdict Verdict
	Reasons []string
}

// Plan decides about every backup, in the order given, which it does not change. now only tells which dates are still to come.
// An empty policy removes nothing.
func (p Policy) Plan(now time.Time, backups []Backup) []Decision {
	items := make([]*item, len(backups))
	for i, b := range backups {
		items[i] = &item{Backup: b, future: b.Time.After(now)}
	}
	lineages := group(items)
	for _, l := range lineages {
		p.thin(l)
	}
	freeze(lineages)
	if p.Empty() {
		for _, i := range items {
			i.keep("there is no rule")
		}
	}
	p.limit(items)
	decisions := make([]Decision, len(items))
	for n, i := range items {
		decisions[n] = i.decision()
	}
	return decisions
}

// An item is a backup under judgment.
type item struct {
	Backup
	future  bool
	frozen  string // why
	later   string // why
	reasons []string
}

func (i *item) keep(format string, args ...any) {
	if reason := fmt.Sprintf(format, args...); !slices.Contains(i.reasons, reason) {
		i.reasons = append(i.reasons, reason)
	}
}

// counts reports whether it takes a place among those that a rule keeps.
func (i *item) counts() bool { return !i.future && i.Broken == "" && i.Excluded == "" }

func (i *item) removable() bool { return len(i.reasons) == 0 && i.frozen == "" }

func (i *item) decision() Decision {
	d := Decision{ID: i.ID, Verdict: Keep, Reasons: i.reasons}
	switch {
	case i.frozen != "":
		d.Verdict, d.Reasons = Frozen, append([]string{i.frozen}, i.reasons...)
	case i.later != "":
		d.Verdict, d.Reasons = Later, []string{i.later}
	case len(i.reasons) == 0:
		d.Verdict = Remove
	}
	return d
}

// byAge orders oldest first, as the catalog does.
func byAge(a, b *item) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Sequence, b.Sequence), strings.Compare(a.ID, b.ID))
}

// limit puts off what is more than one run may remove, the newest first: a mistake in a policy is seen before it has done its worst.
func (p Policy) limit(items []*item) {
	gone := slices.DeleteFunc(slices.Clone(items), func(i *item) bool { return !i.removable() })
	slices.SortStableFunc(gone, byAge)
	most := max(1, len(items)/5)
	if p.All || len(gone) <= most {
		return
	}
	for _, i := range gone[most:] {
		i.later = fmt.Sprintf("no rule keeps it, but one run removes at most %d of %d backups, the oldest first", most, len(items))
	}
}
