package restore

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/fault"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// giving is a backup that is given on to a later recipient, who then opens it, step by step.
type giving struct {
	s     stored
	later *age.X25519Identity
	to    crypto.Recipient
}

func (g giving) find(t *testing.T, in sinks.Sink, ids ...age.Identity) (*crypto.FileKey, error) {
	u := &Unlocking{Entry: g.s.entry, Sinks: []catalog.Named{{Name: "mem", Sink: in}}, Identities: ids, Log: slog.New(slog.DiscardHandler)}
	return u.Find(t.Context())
}

// give does it all, and says how each step ended.
func (g giving) give(t *testing.T, in sinks.Sink) (found, put, opened error) {
	key, found := g.find(t, in, g.s.ids...)
	if found != nil {
		return found, nil, nil
	}
	side, err := key.SealFor(g.to, catalog.SidecarName(g.s.entry.Cluster, g.s.entry.ID))
	if err != nil {
		t.Fatal(err)
	}
	put = catalog.PutSidecar(t.Context(), catalog.Named{Name: "mem", Sink: in}, g.s.entry.Cluster, g.s.entry.ID, g.to.Fingerprint(), side)
	_, opened = g.find(t, in, g.later)
	return nil, put, opened
}

// fresh is a sink with the backup alone.
func (g giving) fresh(t *testing.T) sinks.Sink {
	m := mem.New()
	put(t, m, g.s.entry.Manifest.Sealed.Key, g.s.sealed)
	return m
}

// TestNoFaultWhileABackupIsGivenOnHarmsIt breaks every call to the sink in every way: who could open the backup still can, what was said to be
// done is done, doing it again does it, and no fault of the store is taken for a wrong key.
func TestNoFaultWhileABackupIsGivenOnHarmsIt(t *testing.T) {
	t.Parallel()
	g := giving{s: oldBackup(t), later: stranger(t)}
	to, err := crypto.ParseRecipients(bytes.NewBufferString(g.later.Recipient().String()), "test")
	if err != nil {
		t.Fatal(err)
	}
	g.to = to[0]
	clean := fault.New(fault.Options{})
	if found, put, opened := g.give(t, clean.Of(g.fresh(t))); errors.Join(found, put, opened) != nil {
		t.Fatal(found, put, opened)
	}
	cases := 0
	for _, c := range clean.Calls() {
		for _, kind := range fault.Kinds() {
			for _, lasting := range []bool{false, true} {
				m := g.fresh(t)
				f := fault.New(fault.Options{At: c.Same, Kind: kind, Lasting: lasting, Stall: time.Millisecond})
				found, put, opened := g.give(t, f.Of(m))
				cases++
				if f.Injected() == 0 {
					t.Errorf("%s, %s: the fault was not done", c, kind)
				}
				// A sidecar that ends too early is a bad one, and bad ones count for nothing.
				if errors.Is(found, crypto.ErrNoIdentity) || put == nil && found == nil && errors.Is(opened, crypto.ErrNoIdentity) && kind != fault.EOF {
					t.Errorf("%s, %s, lasting %v: a fault is taken for a wrong key: %v, %v", c, kind, lasting, found, opened)
				}
				if _, err := g.find(t, m, g.s.ids...); err != nil {
					t.Errorf("%s, %s: who could open it no longer can: %v", c, kind, err)
				}
				_, has := g.find(t, m, g.later)
				if found == nil && put == nil && has != nil {
					t.Errorf("%s, %s: said to be given, and is not: %v", c, kind, has)
				}
				again, _, opened := g.give(t, m)
				if _, err := g.find(t, m, g.later); errors.Join(again, opened, err) != nil {
					t.Errorf("%s, %s: done again: %v, %v, %v", c, kind, again, opened, err)
				}
			}
		}
	}
	lab.Report(t, "%d calls, %d cases", len(clean.Calls()), cases)
}
