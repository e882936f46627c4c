package catalog

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Head is the end of a cluster's chain of manifests. Written down where nobody reaches who can write to the bucket, on a card for
// the day of the disaster, it shows later that the bucket was not replaced by another or by an older state of itself.
type Head struct {
	ID         ID
	Sequence   int64
	TextSHA256 string // of the manifest, see TextSHA256
}

// minHeadHash is how many digits of the hash at least have to be copied from paper, where somebody is tired of typing.
const minHeadHash = 16

// racing is how far apart in time writers may begin that do not know of each other, and so may give out the same sequence.
const racing = time.Hour

// String writes a head as one token to copy, as ParseHead reads it: ID:SEQUENCE:HASH.
func (h Head) String() string { return fmt.Sprintf("%s:%d:%s", h.ID, h.Sequence, h.TextSHA256) }

// ParseHead reads what String wrote, or as much of it as has 16 digits of the hash. Errors match ErrUsage.
func ParseHead(s string) (Head, error) {
	id, rest, _ := strings.Cut(strings.TrimSpace(s), ":")
	number, hash, _ := strings.Cut(rest, ":")
	h := Head{ID: ID(id), TextSHA256: strings.ToLower(hash)}
	var err error
	h.Sequence, err = strconv.ParseInt(number, 10, 64)
	if !validID(h.ID) || err != nil || h.Sequence < 1 || len(hash) < minHeadHash || len(hash) > 64 || strings.Trim(h.TextSHA256, "0123456789abcdef") != "" {
		return Head{}, usagef("head %.120q: must be as status prints it, ID:SEQUENCE:HASH with 16 digits of the hash at least", s)
	}
	return h, nil
}

// Head returns the manifest with the highest sequence, of racing writers' the one with the last id; false if there is none. Beside what a trusted
// key has signed, nothing else counts.
func (l Listing) Head() (Head, bool) {
	var h Head
	for _, e := range l.credible() { // in id order
		if e.Sequence >= h.Sequence {
			h = Head{e.ID, e.Sequence, e.TextSHA256}
		}
	}
	return h, h.ID != ""
}

// Expect holds what is there against a head that was seen before. It is there still, with the same text; or it was removed, as pruning
// does, and the chain has grown past it. Anything else is a bucket that was replaced, set back or cut short: ErrNotAuthentic. Where a
// sink could not be read, which may be the one that holds it, the error is that sink's.
func (l Listing) Expect(want Head) error {
	same := func(text string) bool { return strings.HasPrefix(text, want.TextSHA256) }
	follows := false
	for _, e := range l.Entries {
		if e.ID == want.ID && (e.Sequence != want.Sequence || !same(e.TextSHA256)) {
			return fmt.Errorf("%w: %s has the sequence %d and the hash %s, and not %d and %s as expected", ErrNotAuthentic, e.ID, e.Sequence, e.TextSHA256, want.Sequence, want.TextSHA256)
		}
		if e.ID == want.ID {
			return nil
		}
	}
	for _, e := range l.credible() {
		if p := e.Previous; p != nil && p.ID == want.ID {
			if !same(p.TextSHA256) {
				return fmt.Errorf("%w: %s follows another %s than the one that is expected", ErrNotAuthentic, e.ID, want.ID)
			}
			follows = true
		}
	}
	head, _ := l.Head()
	if !follows {
		for _, e := range l.credible() {
			if e.Sequence <= want.Sequence && e.ID.Time().Sub(want.ID.Time()) > racing {
				return fmt.Errorf("%w: %s was made after %s and has the sequence %d, not more than its %d: the bucket was set back in between",
					ErrNotAuthentic, e.ID, want.ID, e.Sequence, want.Sequence)
			}
		}
	}
	if follows || head.Sequence > want.Sequence {
		return nil
	}
	for _, p := range l.Problems {
		if p.Key == "" || p.Key == ManifestKey(l.Cluster, want.ID) {
			return fmt.Errorf("%s, which is expected, cannot be seen: %w", want.ID, p)
		}
	}
	if head.ID == "" {
		return fmt.Errorf("%w: there is no backup of cluster %s, and %s was there", ErrNotAuthentic, l.Cluster, want.ID)
	}
	return fmt.Errorf("%w: the newest is %s with sequence %d, and %s with sequence %d was there: backups were removed, or the bucket was replaced by another or an older one",
		ErrNotAuthentic, head.ID, head.Sequence, want.ID, want.Sequence)
}

// LineageState is one lineage as people see it.
type LineageState struct {
	Lineage
	Accepted bool
	Backups  int
	Newest   ID
	Doubts   []Doubt // why it is suspect; none if accepted
}

// Codes are those of the doubts, one for each.
func (s LineageState) Codes() []DoubtCode { return codesOf(s.Doubts) }

// Lineages tells of every lineage, the oldest first. retention.FrozenBy tells which of them are frozen.
func (l Listing) Lineages() (all []LineageState) {
	for _, h := range histories(l.Entries) {
		s := LineageState{Lineage: h.Lineage, Accepted: h.accepted, Backups: len(h.entries), Newest: h.newest().ID}
		if !h.accepted {
			s.Doubts = h.doubts()
		}
		all = append(all, s)
	}
	return all
}
