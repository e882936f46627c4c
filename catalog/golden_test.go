package catalog

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// testdata/format1.note was written by the first version of format 1, and is never written again: every later version has to read it.
// It is the manifest of ../crypto/testdata/format1-hybrid.db.zst.age.

// golden is what it says.
func golden() Manifest {
	const id = ID("20261120T145000Z-r123456-7f3a9c")
	m := sample(id)
	m.Sequence, m.Previous, m.BucketTime = 1, nil, time.Time{}
	m.Lineage.First = id
	m.Suspect.Reasons = []string{}
	m.ReadBack = ReadBack{Mode: ReadBackAlways, OK: true, Sinks: []SinkReadBack{}}
	m.Suspect.Codes, m.Certificates = []DoubtCode{}, []Certificate{} // came later
	m.Plain = Plain{Size: 5996, SHA256: "60330b7f5b79176f29cb093bb42679965d3ad33ec8765fc97e48d195627e6c25", TrailerOK: true}
	m.Sealed.Size, m.Sealed.SHA256 = 3755, "e68b264affd3a723ce3f987591c8411cd02857273fafa2481afc02f381d6a8f0"
	m.Sealed.Fingerprints = []string{"d8c26185e77b9915"}
	m.Sealed.HeaderSHA256, m.RecipientsChanged = "", nil // came later
	return m
}

func TestManifestsOfFormat1ReadForEver(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/format1.note")
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := os.ReadFile("testdata/format1.trusted-key")
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(strings.TrimSpace(string(trusted)))
	if err != nil {
		t.Fatal(err)
	}
	m, sig, err := Decode(data, Trust{Verifiers: note.VerifierList(v)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden(), m); diff != "" {
		t.Error(diff)
	}
	if !sig.Trusted {
		t.Errorf("signature %+v", sig)
	}

	s := Named{"mem:", mem.New()}
	sealed, err := os.ReadFile("../crypto/testdata/format1-hybrid.db.zst.age")
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, m.Sealed.Key, sealed)
	if err := VerifyDigest(t.Context(), s, m, nil); err != nil {
		t.Errorf("the sealed file beside it: %v", err)
	}
}
