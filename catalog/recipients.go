package catalog

import "slices"

// Who can open backups is decided by a file on the host that makes them. Whoever can change that file reads every backup from then on, or
// keeps its owner from reading any, and nothing would look wrong until the day of the disaster. So a change is told of, by
// every backup that follows, until a person accepts it. Lineage and `latest` have nothing to do with it.

// RecipientsChanged says in a manifest that backups have been sealed to other recipients since one that is named, and that nobody had
// accepted that when this one was made. It stands in every manifest until then, so that removing old backups cannot end it.
type RecipientsChanged struct {
	Since  ID       `json:"since"`  // the first backup sealed to others than before
	Before []string `json:"before"` // fingerprints of those before it; none if it was not encrypted
}

// A RecipientsChange is one that waits to be accepted.
type RecipientsChange struct {
	Since       ID
	Newest      ID       // accepting this one accepts the change
	Before, Now []string // fingerprints, sorted
}

// Gone are the recipients that can open no backup any more from Since on.
func (c RecipientsChange) Gone() []string { return without(c.Before, c.Now) }

// Come are those that can open every one from Since on.
func (c RecipientsChange) Come() []string { return without(c.Now, c.Before) }

func without(a, b []string) (rest []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			rest = append(rest, s)
		}
	}
	return rest
}

// RecipientsChange tells whether the newest backup is sealed to others than people know of.
func (l Listing) RecipientsChange() (RecipientsChange, bool) {
	es := l.credible()
	if len(es) == 0 {
		return RecipientsChange{}, false
	}
	newest := es[len(es)-1]
	c := newest.RecipientsChanged
	if c == nil || acceptedRecipients(es, newest) {
		return RecipientsChange{}, false
	}
	return RecipientsChange{c.Since, newest.ID, ordered(c.Before), ordered(newest.Manifest.Sealed.Fingerprints)}, true
}

// AcceptsRecipients reports whether accepting a backup ends what RecipientsChange tells.
func (l Listing) AcceptsRecipients(e Entry) bool {
	c, changed := l.RecipientsChange()
	return changed && e.RecipientsChanged != nil && slices.Equal(ordered(e.Manifest.Sealed.Fingerprints), c.Now)
}

// recipientsChanged is what a new manifest says of its recipients.
func (l Listing) recipientsChanged(m Manifest) *RecipientsChanged {
	es := l.credible()
	if len(es) == 0 {
		return nil
	}
	newest := es[len(es)-1]
	before, since := ordered(newest.Manifest.Sealed.Fingerprints), m.ID
	now := ordered(m.Sealed.Fingerprints)
	if c := newest.RecipientsChanged; c != nil && !acceptedRecipients(es, newest) {
		if slices.Equal(now, before) {
			since = c.Since // the same change, still
		}
		before = ordered(c.Before) // the last that people know of
	}
	if slices.Equal(now, before) {
		return nil
	}
	return &RecipientsChanged{since, before}
}

// credible are the backups that may say where the chain ends and whom backups are sealed to: where some are signed by a trusted key, those only. Anyone
// who can write to the bucket could otherwise put his own recipients before the change.
func (l Listing) credible() []Entry {
	trusted := slices.DeleteFunc(slices.Clone(l.Entries), func(e Entry) bool { return !e.Sig.Trusted })
	if len(trusted) > 0 {
		return trusted
	}
	return l.Entries
}

// acceptedRecipients reports whether a person accepted a backup that tells of the same change as newest, which does tell of one. An older
// acceptance of the same recipients does not count: they were given up in between.
func acceptedRecipients(es []Entry, newest Entry) bool {
	now := ordered(newest.Manifest.Sealed.Fingerprints)
	return slices.ContainsFunc(es, func(e Entry) bool {
		// By start and revision only: of backups of one second the random end of an id says nothing of which came first.
		return e.Accepted && e.RecipientsChanged != nil && e.ID.compareStart(newest.RecipientsChanged.Since) >= 0 && slices.Equal(ordered(e.Manifest.Sealed.Fingerprints), now)
	})
}

func ordered(s []string) []string { return slices.Sorted(slices.Values(s)) }
