package restore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// unreachable is a sink nobody answers at.
type unreachable struct{ sinks.Sink }

func (unreachable) Open(_ context.Context, key string, _ int64) (io.ReadCloser, error) {
	return nil, &sinks.Error{Op: "open", Sink: "far", Key: key, Err: errors.New("connection refused")}
}

// holding is a sink with these bytes as the object of the backup.
func (s stored) holding(t *testing.T, data []byte) sinks.Sink {
	t.Helper()
	m := mem.New()
	put(t, m, s.entry.Manifest.Sealed.Key, data)
	return m
}

// TestTheNextSinkIsUsedWhereACopyCannotBe offers one whole copy after several that are not, each bad in its own way.
func TestTheNextSinkIsUsedWhereACopyCannotBe(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	flipped := bytes.Clone(s.sealed)
	flipped[len(flipped)/2] ^= 1
	d := s.deps()
	d.Sinks = []catalog.Named{
		{Name: "far", Sink: unreachable{}},
		{Name: "flipped", Sink: s.holding(t, flipped)},
		{Name: "short", Sink: s.holding(t, s.sealed[:len(s.sealed)-1])},
		{Name: "long", Sink: s.holding(t, append(bytes.Clone(s.sealed), 0))},
		{Name: "missing", Sink: mem.New()},
		{Name: "other", Sink: mem.New()},
		{Name: "whole", Sink: s.sink},
	}
	p := s.plan(filepath.Join(t.TempDir(), "out"))
	p.Source.Entry.Sinks = []string{"far", "flipped", "short", "long", "missing", "whole"}
	res := mustRun(t, p, d)
	if res.Sink != "whole" {
		t.Errorf("it came from %s", res.Sink)
	}
	var skipped []string
	for _, c := range res.Skipped {
		skipped = append(skipped, c.Sink)
		if errors.Is(c, catalog.ErrDamaged) == (c.Sink == "far") {
			t.Errorf("%v: wrong kind", c)
		}
	}
	if want := []string{"far", "flipped", "short", "long", "missing"}; !slices.Equal(skipped, want) {
		t.Errorf("skipped %v, want %v", skipped, want)
	}

	d.Sinks = d.Sinks[:len(d.Sinks)-1]
	p.Out = filepath.Join(t.TempDir(), "out")
	_, err := Run(t.Context(), p, d)
	var none *NoCopyError
	var sink *sinks.Error
	if !errors.As(err, &none) || len(none.Copies) != 5 || !errors.Is(err, catalog.ErrDamaged) || !errors.As(err, &sink) {
		t.Errorf("without a whole copy: %v", err)
	}
	if left := tree(t, filepath.Dir(p.Out)); left != "" {
		t.Errorf("without a whole copy it leaves:\n%s", left)
	}
}

func TestSinksThatHoldTheManifestAreAskedFirst(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	d := s.deps()
	d.Sinks = []catalog.Named{{Name: "other", Sink: s.sink}, {Name: "mem", Sink: s.sink}}
	if res := mustRun(t, s.plan(filepath.Join(t.TempDir(), "out")), d); res.Sink != "mem" {
		t.Errorf("it came from %s, which does not hold the manifest", res.Sink)
	}
}

func TestAnotherKeyIsToldApartFromDamage(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	d := s.deps()
	d.Identities = []age.Identity{other}
	parent := t.TempDir()
	_, err = Run(t.Context(), s.plan(filepath.Join(parent, "out")), d)
	if !errors.Is(err, crypto.ErrNoIdentity) || errors.Is(err, crypto.ErrDamaged) || errors.Is(err, catalog.ErrDamaged) {
		t.Errorf("got %v", err)
	}
	if left := tree(t, parent); left != "" {
		t.Errorf("it leaves:\n%s", left)
	}
	d.Identities = append(d.Identities, s.ids...)
	res := mustRun(t, s.plan(filepath.Join(parent, "out")), d)
	if want := s.entry.Manifest.Sealed.Fingerprints[0]; res.OpenedWith != want {
		t.Errorf("opened with %q, want %q", res.OpenedWith, want)
	}
}

// TestWhatIsInsideMustBeWhatTheManifestSays has manifests that promise something else, as only somebody who can write
// manifests can make them: each is damage, and leaves nothing.
func TestWhatIsInsideMustBeWhatTheManifestSays(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *Source){
		"size, more":     func(s *Source) { s.Size++ },
		"size, less":     func(s *Source) { s.Size-- },
		"digest":         func(s *Source) { s.SHA256 = "00" + s.SHA256[2:] },
		"revision":       func(s *Source) { s.Revision++ },
		"HashKV":         func(s *Source) { s.Hash.Hash++ },
		"HashKV's place": func(s *Source) { s.Hash.Revision += 1 << 40 },
		"keys":           func(s *Source) { s.LiveKeys++ },
		"Kubernetes":     func(s *Source) { s.Kubernetes = false },
		"raw":            func(s *Source) { s.Raw = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := oldBackup(t)
			parent := t.TempDir()
			p := s.plan(filepath.Join(parent, "out"))
			change(&p.Source)
			_, err := Run(t.Context(), p, s.deps())
			if err == nil || (name != "HashKV's place" && name != "raw" && !errors.Is(err, snapshot.ErrDamaged) && !errors.Is(err, crypto.ErrDamaged)) {
				t.Errorf("got %v, want damage", err)
			}
			if left := tree(t, parent); left != "" {
				t.Errorf("it leaves:\n%s", left)
			}
		})
	}
}

func TestAFileThatChangedSinceItWasPlannedIsRefused(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	path, _ := oldFile(t)
	p := Plan{Source: fileSource(t, path), Members: s.plan("").Source.Members, Out: filepath.Join(t.TempDir(), "out")}
	flip(t, path, 100_000)
	if _, err := Run(t.Context(), p, Deps{}); !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("got %v, want damage", err)
	}
	if _, err := FromFile(t.Context(), path, false); !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("a file whose digest is wrong makes a source: %v", err)
	}
	if _, err := FromFile(t.Context(), path+".not", false); !errors.Is(err, ErrUsage) || errors.Is(err, fs.ErrExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestABackupThatIsNotEncryptedNeedsNoKey(t *testing.T) {
	t.Parallel()
	path, _ := oldFile(t)
	s := store(t, path, mem.New(), false)
	d := s.deps()
	d.Identities = nil
	res := mustRun(t, s.plan(filepath.Join(t.TempDir(), "out")), d)
	if res.OpenedWith != "" || len(res.Members) != 3 {
		t.Errorf("opened with %q, made %v", res.OpenedWith, res.Members)
	}
}
