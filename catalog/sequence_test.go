package catalog

import "testing"

// TestAForgedSequenceStopsNobody has somebody without a key write a manifest with the last number there is, or one beyond.
func TestAForgedSequenceStopsNobody(t *testing.T) {
	t.Parallel()
	m := golden()
	m.Sequence = maxSequence + 1
	if _, err := Encode(m); err == nil {
		t.Error("a number beyond the last is written")
	}
	m.Sequence = maxSequence
	data, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	last, _, err := Decode(data, Trust{})
	if err != nil {
		t.Fatal(err)
	}
	l := Listing{Cluster: m.Cluster, Entries: []Entry{{Manifest: last, TextSHA256: TextSHA256(data)}}}
	next := golden()
	l.Link(&next)
	if next.Sequence != maxSequence {
		t.Errorf("the next has number %d, which nobody can write", next.Sequence)
	}
}
