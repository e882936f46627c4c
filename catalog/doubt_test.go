package catalog

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// TestDoubtsWithoutACodeThatIsKnownAreOther: an older version wrote none, and a later one may know more.
func TestDoubtsWithoutACodeThatIsKnownAreOther(t *testing.T) {
	t.Parallel()
	reasons := []string{"one", "two", "three"}
	for name, c := range map[string]struct{ codes, want []DoubtCode }{
		"none":    {nil, []DoubtCode{DoubtOther, DoubtOther, DoubtOther}},
		"all":     {[]DoubtCode{DoubtRevision, DoubtLiveKeys, DoubtClusterID}, []DoubtCode{DoubtRevision, DoubtLiveKeys, DoubtClusterID}},
		"too few": {[]DoubtCode{DoubtRevision}, []DoubtCode{DoubtRevision, DoubtOther, DoubtOther}},
		"unknown": {[]DoubtCode{"moon-phase", DoubtRevision, DoubtOther, "more"}, []DoubtCode{DoubtOther, DoubtRevision, DoubtOther}},
	} {
		doubts := Suspect{Reasons: reasons, Codes: c.codes}.Doubts()
		if diff := cmp.Diff(c.want, codesOf(doubts)) + cmp.Diff(reasons, Reasons(doubts)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestCodesOfDoubtsAreStoredAndTold follows them from the manifest that begins a suspect lineage to those that continue it, and to what is listed.
func TestCodesOfDoubtsAreStoredAndTold(t *testing.T) {
	t.Parallel()
	a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
	backupAt(t, []Named{a}, 0, 0xa, 100, 1000, key{})
	backupAt(t, []Named{a}, 15, 0xa, 5, 10, key{})
	backupAt(t, []Named{a}, 30, 0xa, 6, 10, key{})
	l := list(t, []Named{a}, Trust{})
	want := []DoubtCode{DoubtRevision, DoubtLiveKeys}
	for _, e := range l.Entries[1:] {
		if diff := cmp.Diff(want, e.Suspect.Codes) + cmp.Diff(want, e.DoubtCodes); diff != "" || len(e.Doubts) != 2 || !strings.Contains(e.Doubts[1], "live keys") {
			t.Errorf("%s: %v, doubts %q", e.ID, diff, e.Doubts)
		}
	}
	all := l.Lineages()
	if diff := cmp.Diff(want, all[1].Codes()); diff != "" || len(all[0].Codes()) != 0 || len(l.Entries[0].DoubtCodes) != 0 {
		t.Errorf("of the lineages: %s, of the first %v", diff, all[0].Codes())
	}
	// One that began without a look at the others has no code in its manifest, and one beside them.
	blind := backupAt(t, []Named{b}, 45, 0xb, 200, 1000, key{})
	l = list(t, []Named{a, b}, Trust{})
	if e := l.Entries[3]; e.ID != blind || len(e.Suspect.Codes) != 0 || !slices.Equal(e.DoubtCodes, []DoubtCode{DoubtClusterID}) {
		t.Errorf("%s: %q in its manifest, %q beside the others", e.ID, e.Suspect.Codes, e.DoubtCodes)
	}
}

// TestOfEachRoleTheFirstCertificateToEndIsKept: a manifest is bounded, whatever endpoints present.
func TestOfEachRoleTheFirstCertificateToEndIsKept(t *testing.T) {
	t.Parallel()
	at := func(days int) time.Time { return day0().AddDate(0, 0, days) }
	m := sample(id1)
	m.Certificates = []Certificate{
		{"of-later", at(9)},
		{CertificateCA, at(300)},
		{CertificateServer, at(40)},
		{CertificateServer, at(30).In(time.FixedZone("here", 7200))},
		{CertificateServer, at(50)},
		{CertificateClient, at(20)},
		{CertificateCA, at(100)},
	}
	got, _, err := Decode(encode(t, m), Trust{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Certificate{{CertificateClient, at(20)}, {CertificateServer, at(30)}, {CertificateCA, at(100)}, {"of-later", at(9)}}
	if diff := cmp.Diff(want, got.Certificates); diff != "" {
		t.Error(diff)
	}
}
