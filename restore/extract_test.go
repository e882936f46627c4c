package restore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// TestTheExtractedSnapshotIsWhatEtcdSent wants the very bytes, only for the owner, and nothing beside them.
func TestTheExtractedSnapshotIsWhatEtcdSent(t *testing.T) {
	t.Parallel()
	path, _ := oldFile(t)
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, encrypted := range []bool{true, false} {
		for _, named := range []bool{true, false} {
			s := store(t, path, mem.New(), encrypted)
			d := s.deps()
			d.named = named
			dir := t.TempDir()
			to := filepath.Join(dir, "made", "plain.db")
			x, err := Extract(t.Context(), s.plan(""), to, d)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(to)
			if err != nil || !bytes.Equal(got, want) || x.File != to || x.SHA256 != s.entry.Plain.SHA256 {
				t.Errorf("%d bytes of %d are the same: %v, %+v", len(got), len(want), err, x)
			}
			if st, err := os.Stat(to); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", st.Mode(), err)
			}
			if left := tree(t, dir); left != "/made d---------\n/made/plain.db ----------\n" {
				t.Errorf("it leaves\n%s", left)
			}
			var r *Refusal
			if _, err := Extract(t.Context(), s.plan(""), to, d); !errors.As(err, &r) || !strings.Contains(r.What, "never overwritten") {
				t.Errorf("written twice: %v", err)
			}
		}
	}
}

// TestNothingIsExtractedThatMayNotBe goes through refusals, damage, and failures at every point: none leaves anything.
func TestNothingIsExtractedThatMayNotBe(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	boom := errors.New("boom")
	w := &witness{}
	d := s.deps()
	d.at = w.at
	if _, err := Extract(t.Context(), s.plan(""), filepath.Join(t.TempDir(), "x"), d); err != nil {
		t.Fatal(err)
	}
	type trial struct {
		name string
		set  func(p *Plan, d *Deps)
		want func(err error) bool
	}
	refused := func(err error) bool { var r *Refusal; return errors.As(err, &r) }
	usage := func(err error) bool { return errors.Is(err, ErrUsage) }
	all := []trial{
		{"unsigned", func(p *Plan, _ *Deps) { p.Trust = trusting(t) }, func(err error) bool { return errors.Is(err, catalog.ErrNotAuthentic) }},
		{"suspect", func(p *Plan, _ *Deps) { e := *p.Source.Entry; e.Doubts = []string{"wiped"}; p.Source.Entry = &e }, refused},
		{"too old", func(p *Plan, _ *Deps) { p.MaxAge = 1 }, refused},
		{"too little disk", func(p *Plan, _ *Deps) { p.Source.Size = 1 << 50 }, refused},
		{"no identity", func(_ *Plan, d *Deps) { d.Identities = nil }, usage},
		{"raw", func(p *Plan, _ *Deps) { p.Source.Raw = true }, usage},
		{"changed on the way", func(p *Plan, _ *Deps) { p.AcceptStorageVersion = true }, usage},
		{"another HashKV", func(p *Plan, _ *Deps) { p.Source.Hash.Hash++ }, func(err error) bool { return errors.Is(err, snapshot.ErrDamaged) }},
		{"another digest", func(p *Plan, _ *Deps) { p.Source.SHA256 = strings.Repeat("0", 64) }, func(err error) bool { return errors.Is(err, snapshot.ErrDamaged) }},
	}
	for _, point := range w.points {
		all = append(all, trial{"failure at " + point, func(_ *Plan, d *Deps) {
			d.at = func(at string) error {
				if at == point {
					return boom
				}
				return nil
			}
		}, func(err error) bool { return errors.Is(err, boom) }})
	}
	for _, c := range all {
		dir := t.TempDir()
		p, d := s.plan(""), s.deps()
		c.set(&p, &d)
		if _, err := Extract(t.Context(), p, filepath.Join(dir, "made", "x"), d); !c.want(err) {
			t.Errorf("%s: got %v", c.name, err)
		}
		if left := tree(t, dir); left != "" {
			t.Errorf("%s leaves\n%s", c.name, left)
		}
	}
	if len(w.points) < 2 {
		t.Errorf("only the points %q", w.points)
	}
}
