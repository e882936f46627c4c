package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// checkChain follows every manifest to its predecessor: a missing one is a gap, another text under its id is a problem, and speaks against
// the predecessor. What a trusted key has signed is not doubted for the sake of what none has.
func (l *Listing) checkChain() {
	texts, at := make(map[ID]string), make(map[ID]int)
	for i, e := range l.Entries {
		texts[e.ID], at[e.ID] = e.TextSHA256, i
	}
	for _, e := range l.Entries {
		if e.Previous == nil {
			continue
		}
		text, ok := texts[e.Previous.ID]
		switch {
		case !ok:
			l.Gaps = append(l.Gaps, Gap{e.ID, e.Previous.ID})
		case text != e.Previous.TextSHA256:
			err := fmt.Errorf("%w: it follows another %s than the one that is there", ErrNotAuthentic, e.Previous.ID)
			l.Problems = append(l.Problems, &Problem{e.Sinks[0], ManifestKey(l.Cluster, e.ID), e.ID, err})
			if before := &l.Entries[at[e.Previous.ID]]; e.Sig.Trusted || !before.Sig.Trusted {
				before.Disputed = fmt.Sprintf("%s, which came next, followed another manifest of this id", e.ID)
			}
		}
	}
}

// Link makes a new manifest continue what is there: it sets Sequence, Previous, Lineage.First, Suspect, Alone and RecipientsChanged. ID, Started, Finished, Revision,
// LiveKeys, Lineage.EtcdClusterID and Sealed.Fingerprints must be set.
func (l Listing) Link(m *Manifest) {
	signed := l.signed()
	lineage, doubts := l.proceed(signed, *m)
	m.Lineage, m.Suspect = lineage, suspectOf(doubts)
	m.RecipientsChanged, m.Alone = l.recipientsChanged(*m), signed.alone(m.Lineage)
	m.Sequence, m.Previous = 1, nil
	if chain := signed.Entries; len(chain) > 0 {
		last := chain[len(chain)-1]
		m.Previous = &Previous{last.ID, last.TextSHA256}
		highest := slices.MaxFunc(chain, func(a, b Entry) int { return cmp.Compare(a.Sequence, b.Sequence) })
		m.Sequence = min(highest.Sequence, maxSequence-1) + 1 // whoever claims the end of all counting must not stop it
		m.Suspect.Unseen = len(m.Suspect.Reasons) > 0 && last.Lineage == m.Lineage && last.Suspect.Unseen
	} else if p := l.hides(); p != nil {
		// Not the first of all, perhaps: what is unseen must not be taken for absent.
		m.Suspect = suspectOf(append(doubts, Doubt{DoubtOther, fmt.Sprintf("no earlier backup could be seen, but perhaps there are some: %v", p)}))
		m.Suspect.Unseen = true
	}
}

// signed is what is there, where something is that a trusted key has signed, without all that none has.
func (l Listing) signed() Listing {
	all := len(l.Entries)
	if l.Entries = l.credible(); len(l.Entries) < all {
		return l.Without()
	}
	return l
}

// proceed decides as Continue does. What no trusted key has signed can add suspicion, but not end it, and is no lineage to continue where something
// signed is there to follow: whoever can write to a sink could vouch for the backups of a cluster that was wiped.
func (l Listing) proceed(signed Listing, m Manifest) (Lineage, []Doubt) {
	lineage, doubts := Continue(signed.Entries, m)
	if len(doubts) == 0 && len(signed.Entries) < len(l.Entries) {
		if _, suspicion := Continue(l.Entries, m); len(suspicion) > 0 {
			return Lineage{m.ID, m.Lineage.EtcdClusterID}, suspicion
		}
	}
	return lineage, doubts
}

// hides is a problem behind which there may be a backup: a sink that could not be read, or a manifest. A file that somebody left
// among the manifests is none.
func (l Listing) hides() *Problem {
	for _, p := range l.Problems {
		if errors.Is(p.Err, ErrOverwritten) {
			continue // it could be read all the same
		}
		if p.Key == "" || p.ID != "" && strings.HasPrefix(p.Key, manifests(l.Cluster)) {
			return p
		}
	}
	return nil
}

// Dispute is an error if another manifest contradicts this one, so that one of them was replaced: a *DisputedError.
func (e Entry) Dispute() error {
	if e.Disputed == "" {
		return nil
	}
	return &DisputedError{e.ID, e.Disputed}
}
