package backup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

func TestTurningSigningOnContinuesTheHistory(t *testing.T) {
	t.Parallel()
	s := mem.New()
	h := newHouse(t, cluster(t, 1).Endpoints(), s)
	private, public, err := crypto.GenerateSigningKey("prod", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"private": string(private), "public": public + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var previous catalog.ID
	for i := range int64(6) {
		if i == 3 {
			if h.Signers, err = crypto.LoadSigners(filepath.Join(dir, "private")); err != nil {
				t.Fatal(err)
			}
			if h.Trust.Verifiers, _, err = crypto.LoadVerifiers(filepath.Join(dir, "public")); err != nil {
				t.Fatal(err)
			}
		}
		r := h.run(t)
		m := r.Manifest
		if len(r.Suspect) > 0 || m.Sequence != i+1 {
			t.Errorf("backup %d has sequence %d and is suspect: %v", i+1, m.Sequence, r.Suspect)
		}
		if i > 0 && (m.Previous == nil || m.Previous.ID != previous) {
			t.Errorf("backup %d follows %v instead of %s", i+1, m.Previous, previous)
		}
		previous = m.ID
	}
	if e := latest(t, h.Trust, s); e.ID != previous || !e.Sig.Trusted {
		t.Errorf("latest is %s instead of %s, signature %+v", e.ID, previous, e.Sig)
	}
	h.Trust.AcceptUnsigned = true
	if l := listing(t, h.Trust, s); len(l.Entries) != 6 || len(l.Problems)+len(l.Gaps) > 0 {
		t.Errorf("%d backups, problems %v, gaps %v", len(l.Entries), l.Problems, l.Gaps)
	}
}

// A cluster that is wiped and started by the same script has the same cluster id; and the backups before seem to be newer.
func TestAWipedClusterIsSuspectWhateverTheClocksSaid(t *testing.T) {
	t.Parallel()
	c := cluster(t, 1)
	for range 20 {
		fill(t, c, 3) // revisions that the wiped cluster does not reach again
	}
	s := mem.New()
	h := newHouse(t, c.Endpoints(), s)
	today := h.Now()
	h.startClock(today.Add(24 * time.Hour))
	whole := h.run(t)
	if len(whole.Suspect) > 0 {
		t.Errorf("the first is suspect: %v", whole.Suspect)
	}

	c.Stop(t, 0)
	if err := os.RemoveAll(c.Members()[0].DataDir); err != nil {
		t.Fatal(err)
	}
	c.Start(t, 0)
	h.startClock(today)
	for range 2 { // suspicion is sticky
		fill(t, c, 3)
		r := h.run(t)
		if r.Manifest.Source.MemberID != whole.Manifest.Source.MemberID {
			t.Fatal("the wiped cluster has another id, which makes this too easy")
		}
		reasons := strings.Join(r.Suspect, "\n")
		if !strings.Contains(reasons, "revision went back") || !strings.Contains(reasons, "live keys") || len(r.Suspect) != 2 {
			t.Errorf("suspect: %q", r.Suspect)
		}
		if e := latest(t, catalog.Trust{}, s); e.ID != whole.Manifest.ID {
			t.Errorf("latest is %s, of the wiped cluster", e.ID)
		}
	}
}
