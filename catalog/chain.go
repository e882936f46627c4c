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
	m.Lineage, m.Suspect.Reasons = Continue(l.Entries, *m)
	m.RecipientsChanged, m.Alone = l.recipientsChanged(*m), l.alone(m.Lineage)
	m.Sequence, m.Previous, m.Suspect.Unseen = 1, nil, false
	if n := len(l.Entries); n > 0 {
		// What no trusted key has signed can add suspicion, but is no link of the chain where something signed is there to follow.
		chain := l.credible()
		last := chain[len(chain)-1]
		m.Previous = &Previous{last.ID, last.TextSHA256}
		highest := slices.MaxFunc(chain, func(a, b Entry) int { return cmp.Compare(a.Sequence, b.Sequence) })
		m.Sequence = min(highest.Sequence, maxSequence-1) + 1 // whoever claims the end of all counting must not stop it
		newest := l.Entries[n-1]
		m.Suspect.Unseen = len(m.Suspect.Reasons) > 0 && newest.Lineage == m.Lineage && newest.Suspect.Unseen
	} else if p := l.hides(); p != nil {
		// Not the first of all, perhaps: what is unseen must not be taken for absent.
		m.Suspect.Reasons = append(m.Suspect.Reasons, fmt.Sprintf("no earlier backup could be seen, but perhaps there are some: %v", p))
		m.Suspect.Unseen = true
	}
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
