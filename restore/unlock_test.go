package restore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// metered counts what is read from a sink.
type metered struct {
	sinks.Sink
	read atomic.Int64
}

func (m *metered) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	r, err := m.Sink.Open(ctx, key, off)
	if err != nil {
		return nil, err
	}
	return &meteredBody{r, m}, nil
}

type meteredBody struct {
	io.ReadCloser
	in *metered
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.in.read.Add(int64(n))
	return n, err
}

// mute is an identity that cannot tell its recipient, as a plugin's.
type mute struct{ age.Identity }

func stranger(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestAWrongKeyIsToldFromDamageAndWhereItCanBeBeforeTheFetch has the right and a wrong identity, one that can tell its recipient and one
// that cannot, a whole and a damaged header, and manifests with and without its digest.
func TestAWrongKeyIsToldFromDamageAndWhereItCanBeBeforeTheFetch(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	damaged := bytes.Clone(s.sealed)
	damaged[60] ^= 1 // in the recipient's share: it looks like somebody else's
	right, wrong := s.ids[0], age.Identity(stranger(t))
	for _, c := range []struct {
		name    string
		id      age.Identity
		object  []byte
		digest  bool // the manifest has the header's
		want    error
		fetches bool // the whole object
	}{
		{"right", right, s.sealed, true, nil, true},
		{"right, old", right, s.sealed, false, nil, true},
		{"right, mute, old", mute{right}, s.sealed, false, nil, true},
		{"wrong", wrong, s.sealed, true, crypto.ErrNoIdentity, false},
		{"wrong, old", wrong, s.sealed, false, crypto.ErrNoIdentity, false},
		{"wrong, mute", mute{wrong}, s.sealed, true, crypto.ErrNoIdentity, false},
		{"wrong, mute, old", mute{wrong}, s.sealed, false, crypto.ErrNoIdentity, true},
		{"right, damaged", right, damaged, true, catalog.ErrDamaged, true},
		{"right, damaged, old", right, damaged, false, catalog.ErrDamaged, true},
		{"wrong, damaged", wrong, damaged, true, catalog.ErrDamaged, true},
		{"wrong, mute, damaged, old", mute{wrong}, damaged, false, catalog.ErrDamaged, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sink := &metered{Sink: s.holding(t, c.object)}
			d := s.deps()
			d.Sinks = []catalog.Named{{Name: "mem", Sink: sink}}
			d.Identities = []age.Identity{c.id}
			parent := t.TempDir()
			p := s.plan(filepath.Join(parent, "out"))
			if !c.digest {
				p.Source.Entry.Manifest.Sealed.HeaderSHA256 = ""
			}
			_, err := Run(t.Context(), p, d)
			if !errors.Is(err, c.want) || c.want != nil && (errors.Is(err, crypto.ErrNoIdentity) == errors.Is(err, catalog.ErrDamaged)) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if got := sink.read.Load() >= int64(len(c.object)); got != c.fetches {
				t.Errorf("%d of %d bytes were read", sink.read.Load(), len(c.object))
			}
			if left := tree(t, parent); c.want != nil && left != "" {
				t.Errorf("it leaves:\n%s", left)
			}
		})
	}
}

// rewrapped gives a backup to a new identity, which it returns.
func (s stored) rewrapped(t *testing.T) (*age.X25519Identity, string) {
	t.Helper()
	id := stranger(t)
	to, err := crypto.ParseRecipients(strings.NewReader(id.Recipient().String()), "test")
	if err != nil {
		t.Fatal(err)
	}
	u := &Unlocking{Entry: s.entry, Sinks: s.named(), Identities: s.ids, Log: slog.New(slog.DiscardHandler)}
	key, err := u.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	side, err := key.SealFor(to[0], catalog.SidecarName(s.entry.Cluster, s.entry.ID))
	if err != nil {
		t.Fatal(err)
	}
	if err := catalog.PutSidecar(t.Context(), s.named()[0], s.entry.Cluster, s.entry.ID, to[0].Fingerprint(), side); err != nil {
		t.Fatal(err)
	}
	return id, to[0].Fingerprint()
}

func TestALaterRecipientRestoresByItsSidecar(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	later, fp := s.rewrapped(t)
	d := s.deps()
	for name, id := range map[string]age.Identity{"tells": later, "mute": mute{later}} {
		d.Identities = []age.Identity{stranger(t), id}
		res := mustRun(t, s.plan(filepath.Join(t.TempDir(), "out")), d)
		if name == "tells" && res.OpenedWith != fp {
			t.Errorf("opened with %q, want %q", res.OpenedWith, fp)
		}
	}
	d.Identities = []age.Identity{stranger(t)}
	_, err := Run(t.Context(), s.plan(filepath.Join(t.TempDir(), "out")), d)
	if !errors.Is(err, crypto.ErrNoIdentity) || !strings.Contains(err.Error(), fp) || !strings.Contains(err.Error(), s.entry.Manifest.Sealed.Fingerprints[0]) {
		t.Errorf("nobody's identity: %v", err)
	}
	if _, err := Verify(t.Context(), s.entry, s.named()[0], t.TempDir(), Deps{Identities: []age.Identity{later}}); err != nil {
		t.Errorf("verify: %v", err)
	}
}

// TestBadSidecarsHarmNobody puts garbage, another backup's sidecar and hundreds of names beside a good one, and in its place.
func TestBadSidecarsHarmNobody(t *testing.T) {
	t.Parallel()
	s, other := oldBackup(t), oldBackup(t)
	later, fp := s.rewrapped(t)
	ctx, in := t.Context(), s.named()[0]
	for i := range 300 {
		name := strings.Repeat("0", 13) + string([]byte{'0' + byte(i/100), '0' + byte(i/10%10), '0' + byte(i%10)})
		if err := catalog.PutSidecar(ctx, in, s.entry.Cluster, s.entry.ID, name, []byte("garbage")); err != nil {
			t.Fatal(err)
		}
	}
	run := func(id age.Identity) error {
		d := s.deps()
		d.Identities = []age.Identity{id}
		_, err := Run(ctx, s.plan(filepath.Join(t.TempDir(), "out")), d)
		return err
	}
	if err := errors.Join(run(later), run(s.ids[0])); err != nil {
		t.Errorf("beside hundreds of bad ones: %v", err)
	}
	// Another backup's sidecar for the same recipient, in its place.
	stray, _ := other.rewrapped(t)
	to, err := crypto.ParseRecipients(strings.NewReader(later.Recipient().String()), "test")
	if err != nil {
		t.Fatal(err)
	}
	u := &Unlocking{Entry: other.entry, Sinks: other.named(), Identities: []age.Identity{stray}, Log: slog.New(slog.DiscardHandler)}
	key, err := u.Find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	moved, err := key.SealFor(to[0], catalog.SidecarName(s.entry.Cluster, s.entry.ID))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"another key, the right name": moved, "garbage": []byte("garbage"), "nothing": {}} {
		place := catalog.SidecarKey(s.entry.Cluster, s.entry.ID, fp)
		if err := s.sink.Delete(ctx, place); err != nil {
			t.Fatal(err)
		}
		put(t, s.sink, place, data)
		if err := run(later); !errors.Is(err, crypto.ErrNoIdentity) || errors.Is(err, catalog.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if err := run(s.ids[0]); err != nil {
			t.Errorf("%s: who could open it no longer can: %v", name, err)
		}
	}
}
