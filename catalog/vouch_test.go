package catalog

import (
	"errors"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// TestWhatIsUnsignedCannotVouchForASuspectLineage has somebody who can write to the bucket, and sign nothing, plant a backup that tells of no suspicion
// into the lineage of a wiped cluster. The next that is signed must not take over its word.
func TestWhatIsUnsignedCannotVouchForASuspectLineage(t *testing.T) {
	t.Parallel()
	s, k := Named{"mem:a", mem.New()}, newKey(t, "prod")
	writing := key{signer: k.signer, trust: Trust{Verifiers: k.trust.Verifiers, AcceptUnsigned: true}} // as the pipeline does
	good := backupAt(t, []Named{s}, 0, 0xa, 100, 1000, writing)
	wiped := backupAt(t, []Named{s}, 15, 0xa, 5, 1000, writing)
	m := list(t, []Named{s}, k.trust).Entries[1].Manifest
	m.Started, m.Finished, m.Suspect = m.Started.Add(time.Minute), m.Finished.Add(time.Minute), Suspect{}
	m.ID = ID(m.Started.Format(idTime) + "-r5-bbbbbb")
	m.Sealed.Key = SealedKey(m.Cluster, m.ID, true)
	put(t, s, ManifestKey("prod", m.ID), encode(t, m))
	if e := list(t, []Named{s}, writing.trust).Entries[2]; e.ID != m.ID || len(e.Doubts) == 0 {
		t.Errorf("%s is not suspect where unsigned ones are taken, too", e.ID)
	}
	if latest, _, err := list(t, []Named{s}, writing.trust).Resolve("latest", day0()); err != nil || latest.ID != good {
		t.Errorf("where unsigned ones are taken, too, latest is %s (%v), want %s", latest.ID, err, good)
	}
	for minute := 30; minute <= 45; minute += 15 {
		next := backupAt(t, []Named{s}, minute, 0xa, int64(minute), 1000, writing)
		e, err := list(t, []Named{s}, k.trust).byID(string(next))
		if err != nil || e.Lineage.First != wiped || len(e.Suspect.Reasons) == 0 {
			t.Errorf("%s of the lineage of %s: suspect %q, %v", next, e.Lineage.First, e.Suspect.Reasons, err)
		}
		if latest, _, err := list(t, []Named{s}, k.trust).Resolve("latest", day0()); err != nil || latest.ID != good {
			t.Errorf("latest is %s (%v), want %s", latest.ID, err, good)
		}
	}
}

// TestAnUnsignedManifestOfTheSameIdStandsForNothing has somebody who can write to one sink of two, which missed a backup, plant another manifest of its
// id there.
func TestAnUnsignedManifestOfTheSameIdStandsForNothing(t *testing.T) {
	t.Parallel()
	a, b, k := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}, newKey(t, "prod")
	writing := key{signer: k.signer, trust: Trust{Verifiers: k.trust.Verifiers, AcceptUnsigned: true}}
	good := backupAt(t, []Named{a}, 0, 0xa, 100, 1000, writing)
	m := list(t, []Named{a}, k.trust).Entries[0].Manifest
	m.LiveKeys = 1
	put(t, b, ManifestKey("prod", good), encode(t, m))
	for _, ss := range [][]Named{{a, b}, {b, a}} {
		l := list(t, ss, writing.trust)
		e := l.Entries[0]
		if !e.Sig.Trusted || e.LiveKeys != 1000 || e.Dispute() != nil || len(e.Sinks) != 1 || e.Sinks[0] != "mem:a" {
			t.Errorf("%s first: %+v", ss[0].Name, e)
		}
		if len(l.Problems) != 1 || l.Problems[0].Sink != "mem:b" || l.Problems[0].ID != good {
			t.Errorf("%s first: problems %v", ss[0].Name, l.Problems)
		}
	}
}

// TestASignatureIsSeenInWhicheverSinkItIs: the same text without it may come first, planted into a sink that lacked it.
func TestASignatureIsSeenInWhicheverSinkItIs(t *testing.T) {
	t.Parallel()
	a, b, k := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}, newKey(t, "prod")
	id := backupAt(t, []Named{a}, 0, 0xa, 100, 1000, k)
	put(t, b, ManifestKey("prod", id), encode(t, list(t, []Named{a}, k.trust).Entries[0].Manifest))
	for _, ss := range [][]Named{{a, b}, {b, a}} {
		if e := list(t, ss, Trust{Verifiers: k.trust.Verifiers, AcceptUnsigned: true}).Entries[0]; !e.Sig.Trusted || len(e.Sinks) != 2 {
			t.Errorf("%s first: %+v in %q", ss[0].Name, e.Sig, e.Sinks)
		}
	}
}

// TestWhatIsUnsignedIsNoHeadBesideWhatIsSigned: a bucket that was set back, with one planted that claims a high number or to follow what is missing, would
// look like one that has grown.
func TestWhatIsUnsignedIsNoHeadBesideWhatIsSigned(t *testing.T) {
	t.Parallel()
	s, k := Named{"mem:a", mem.New()}, newKey(t, "prod")
	writing := key{signer: k.signer, trust: Trust{Verifiers: k.trust.Verifiers, AcceptUnsigned: true}}
	backupAt(t, []Named{s}, 0, 0xa, 100, 1000, writing)
	second := backupAt(t, []Named{s}, 15, 0xa, 200, 1000, writing)
	l := list(t, []Named{s}, writing.trust)
	head, _ := l.Head()
	if err := l.Expect(head); err != nil || head.ID != second {
		t.Fatal(head, err)
	}
	m := l.Entries[1].Manifest
	if err := s.Delete(t.Context(), ManifestKey("prod", second)); err != nil {
		t.Fatal(err)
	}
	m.ID, m.Sequence, m.Previous = m.ID[:len(m.ID)-6]+"bbbbbb", maxSequence, &Previous{second, head.TextSHA256}
	m.Sealed.Key = SealedKey(m.Cluster, m.ID, true)
	put(t, s, ManifestKey("prod", m.ID), encode(t, m))
	l = list(t, []Named{s}, writing.trust)
	if err := l.Expect(head); !errors.Is(err, ErrNotAuthentic) {
		t.Errorf("a bucket that was set back: %v", err)
	}
	if h, _ := l.Head(); h.ID == m.ID {
		t.Errorf("the head is %s", h)
	}
}
