package catalog

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// replace puts a changed manifest in place of one, signed by the key if it has one.
func replace(t *testing.T, s Named, id ID, k key, change func(m *Manifest)) {
	t.Helper()
	data, err := getNote(t.Context(), s, ManifestKey("prod", id))
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := Decode(data, Trust{})
	if err != nil {
		t.Fatal(err)
	}
	change(&m)
	if err := s.Delete(t.Context(), ManifestKey("prod", id)); err != nil {
		t.Fatal(err)
	}
	if k.signer == nil {
		data = encode(t, m)
	} else {
		data = encode(t, m, k.signer)
	}
	put(t, s, ManifestKey("prod", id), data)
}

func fewerKeys(m *Manifest) { m.LiveKeys -= 10 }

// wantDisputed resolves every backup by its id: those that are disputed must be told so, the others found.
func wantDisputed(t *testing.T, l Listing, disputed ...ID) {
	t.Helper()
	for _, e := range l.Entries {
		_, _, err := l.Resolve(string(e.ID), time.Now())
		var d *DisputedError
		bad := strings.Contains(strings.Join(idStrings(disputed), " "), string(e.ID))
		if bad != errors.As(err, &d) || bad != errors.Is(err, ErrNotAuthentic) {
			t.Errorf("%s: %v, want disputed %v", e.ID, err, bad)
		}
	}
}

func idStrings(ids []ID) (all []string) {
	for _, id := range ids {
		all = append(all, string(id))
	}
	return all
}

func TestABackupWhoseManifestsDifferBetweenSinksIsNotChosen(t *testing.T) {
	t.Parallel()
	a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
	backupAt(t, []Named{a, b}, 0, 0xa, 100, 1000, key{})
	second := backupAt(t, []Named{a, b}, 1, 0xa, 200, 1000, key{})
	replace(t, b, second, key{}, fewerKeys)
	l := list(t, []Named{a, b}, Trust{})
	wantDisputed(t, l, second)
	if _, _, err := l.Resolve("latest", time.Now()); !errors.Is(err, ErrNotAuthentic) {
		t.Errorf("latest is one of two that differ: %v", err)
	}
	if e, _, err := list(t, []Named{b}, Trust{}).Resolve("latest", time.Now()); err != nil || e.ID != second {
		t.Errorf("one sink alone: %s, %v", e.ID, err)
	}
}

func TestAManifestReplacedInTheChainIsNotChosen(t *testing.T) {
	t.Parallel()
	s := Named{"mem:a", mem.New()}
	backupAt(t, []Named{s}, 0, 0xa, 100, 1000, key{})
	second := backupAt(t, []Named{s}, 1, 0xa, 200, 1000, key{})
	backupAt(t, []Named{s}, 2, 0xa, 300, 1000, key{})
	replace(t, s, second, key{}, fewerKeys)
	l := list(t, []Named{s}, Trust{})
	if len(l.Problems) != 1 || !errors.Is(l.Problems[0], ErrNotAuthentic) {
		t.Errorf("problems %v", l.Problems)
	}
	wantDisputed(t, l, second)
}

// TestWhatIsUnsignedCannotDiscreditWhatIsSigned accepts unsigned backups beside signed ones: a signed one exposes the unsigned one that was
// replaced, and no unsigned one exposes a signed one.
func TestWhatIsUnsignedCannotDiscreditWhatIsSigned(t *testing.T) {
	t.Parallel()
	s, k := Named{"mem:a", mem.New()}, newKey(t, "prod")
	any := key{trust: Trust{Verifiers: k.trust.Verifiers, AcceptUnsigned: true}}
	signing := key{signer: k.signer, trust: any.trust}
	unsigned := backupAt(t, []Named{s}, 0, 0xa, 100, 1000, any)
	backupAt(t, []Named{s}, 1, 0xa, 200, 1000, signing)
	planted := backupAt(t, []Named{s}, 2, 0xa, 300, 1000, any)
	replace(t, s, planted, key{}, func(m *Manifest) { m.Previous.TextSHA256 = strings.Repeat("ab", 32) })
	replace(t, s, unsigned, key{}, fewerKeys)
	wantDisputed(t, list(t, []Named{s}, any.trust), unsigned)
}
