package prune_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/retention"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// A keeper is a store that keeps more than it lists: parts of uploads, and what is behind delete markers.
type keeper struct {
	*watched
	uploads []sinks.Upload
	aborted []string
	hidden  []string
	err     error // of listing what is hidden
}

func (k *keeper) Uploads(_ context.Context, prefix string) iter.Seq2[sinks.Upload, error] {
	return func(yield func(sinks.Upload, error) bool) {
		for _, u := range k.uploads {
			if strings.HasPrefix(u.Key, prefix) && !yield(u, nil) {
				return
			}
		}
	}
}

func (k *keeper) Abort(_ context.Context, u sinks.Upload) error {
	k.aborted = append(k.aborted, u.ID)
	return nil
}

func (k *keeper) Versions(context.Context, string) ([]sinks.Version, error) { return nil, nil }

func (k *keeper) OpenVersion(context.Context, string, string, int64) (io.ReadCloser, error) {
	return nil, errors.New("there is none")
}

func (k *keeper) Hidden(_ context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		if k.err != nil {
			yield(sinks.Object{}, k.err)
			return
		}
		for _, key := range k.hidden {
			if strings.HasPrefix(key, prefix) && !yield(sinks.Object{Key: key}, nil) {
				return
			}
		}
	}
}

// List shows the payloads without a manifest as three days old.
func (k *keeper) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		for o, err := range k.watched.List(ctx, prefix) {
			if strings.Contains(o.Key, "-aaaaa") {
				o.ModTime = o.ModTime.AddDate(0, 0, -3)
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

func TestUploadsThatNobodyWillCompleteAreGivenUp(t *testing.T) {
	t.Parallel()
	h := newHouse(1)
	k := &keeper{watched: h.watched[0], uploads: []sinks.Upload{
		{Key: "v1/prod/snapshots/a", ID: "old", Started: time.Now().Add(-25 * time.Hour)},
		{Key: "v1/prod/snapshots/b", ID: "under way", Started: time.Now().Add(-23 * time.Hour)},
		{Key: "v1/other/snapshots/c", ID: "another cluster's", Started: time.Now().Add(-25 * time.Hour)},
	}}
	h.ss[0].Sink = k
	h.backups(t, 2)
	plan := h.look(t, retention.Policy{Last: 5})
	if len(plan.Garbage) != 1 || plan.Garbage[0].Uploads != 1 || len(k.aborted) > 0 {
		t.Errorf("planned %+v, given up %q", plan.Garbage, k.aborted)
	}
	r, err := plan.Apply(t.Context())
	if err != nil || r.Uploads != 1 || len(k.aborted) != 1 || k.aborted[0] != "old" {
		t.Errorf("%+v, %v, given up %q", r, err, k.aborted)
	}
}

// Whoever may hide manifests and not remove them must not have prune do the rest.
func TestWhatBelongsToAHiddenManifestIsNotCollected(t *testing.T) {
	t.Parallel()
	h := newHouse(1)
	k := &keeper{watched: h.watched[0]}
	h.ss[0].Sink = k
	h.backups(t, 2)
	var keys []string
	for _, id := range []catalog.ID{"20261101T000000Z-r7-aaaaa1", "20261101T000000Z-r7-aaaaa2"} {
		keys = append(keys, catalog.SealedKey("prod", id, true))
		if err := k.Put(t.Context(), keys[len(keys)-1], strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	k.hidden = []string{catalog.ManifestKey("prod", "20261101T000000Z-r7-aaaaa1")}
	k.err = errors.New("the versions cannot be listed")
	if plan := h.look(t, retention.Policy{Last: 5}); len(plan.Garbage) > 0 || len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "the versions cannot be listed") {
		t.Errorf("%+v, warnings %q", plan.Garbage, plan.Warnings)
	}
	k.err = nil
	plan := h.look(t, retention.Policy{Last: 5})
	if len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "hidden behind delete markers") {
		t.Errorf("warnings %q", plan.Warnings)
	}
	r, err := plan.Apply(t.Context())
	if err != nil || r.Orphans != 1 || r.Bytes != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for i, key := range keys {
		there := false
		for _, err := range k.List(t.Context(), key) {
			there = err == nil
		}
		if there != (i == 0) {
			t.Errorf("%s is there: %t", key, there)
		}
	}
}

// Neither rot of a hold nor a delete marker over it may end it. An authentic release does.
func TestAHoldThatCannotBeReadStillKeepsItsBackup(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*house, *keeper, string) error{
		"overwritten": func(h *house, _ *keeper, key string) error {
			if err := h.watched[0].Sink.Delete(t.Context(), key); err != nil {
				return err
			}
			return h.watched[0].Put(t.Context(), key, strings.NewReader("rot"), 3)
		},
		"hidden": func(h *house, k *keeper, key string) error {
			k.hidden = []string{key}
			return h.watched[0].Sink.Delete(t.Context(), key)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(1)
			private, public, err := crypto.GenerateSigningKey("prod", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			signer, err := note.NewSigner(strings.TrimSpace(lastLine(string(private))))
			if err != nil {
				t.Fatal(err)
			}
			verifier, err := note.NewVerifier(strings.TrimSpace(lastLine(public)))
			if err != nil {
				t.Fatal(err)
			}
			h.signer, h.trust.Verifiers = []note.Signer{signer}, note.VerifierList(verifier)
			k := &keeper{watched: h.watched[0]}
			h.ss[0].Sink = k
			ids := h.backups(t, 6)
			mark := catalog.Mark{ID: ids[0], Cluster: "prod", Mark: catalog.MarkHold, Time: h.at}
			if err := catalog.PutMark(t.Context(), h.ss[0], mark, h.signer...); err != nil {
				t.Fatal(err)
			}
			if err := spoil(h, k, catalog.MarkKey("prod", ids[0], h.at, catalog.MarkHold)); err != nil {
				t.Fatal(err)
			}
			policy := retention.Policy{Last: 1, Floor: 1, All: true}
			plan := h.look(t, policy)
			if l := plan.Lines[0]; l.Verdict != retention.Keep || len(plan.Removals()) != 4 || !strings.Contains(strings.Join(plan.Warnings, " "), "cannot be read or trusted") {
				t.Errorf("%+v, warnings %q", l.Decision, plan.Warnings)
			}
			mark.Mark, mark.Time = catalog.MarkRelease, h.at.Add(time.Second)
			if err := catalog.PutMark(t.Context(), h.ss[0], mark, h.signer...); err != nil {
				t.Fatal(err)
			}
			if plan := h.look(t, policy); len(plan.Removals()) != 5 {
				t.Errorf("after the release %d go", len(plan.Removals()))
			}
		})
	}
}

// TestANewerManifestThatCannotBeReadKeepsWhatIsOlder has the one that was to freeze the rest cut short.
func TestANewerManifestThatCannotBeReadKeepsWhatIsOlder(t *testing.T) {
	t.Parallel()
	h := newHouse(1)
	ids := h.backups(t, 6)
	policy := retention.Policy{Last: 1, Floor: 1, All: true}
	if n := len(h.look(t, policy).Removals()); n != 5 {
		t.Fatalf("%d removals without it", n)
	}
	later, err := catalog.NewID(ids[5].Time().Add(time.Minute), 3, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.ss[0].Put(t.Context(), catalog.ManifestKey("prod", later), strings.NewReader(`{"format":1,`), 12); err != nil {
		t.Fatal(err)
	}
	plan := h.look(t, policy)
	if n := len(plan.Removals()); n != 0 {
		t.Errorf("%d removals beside it", n)
	}
	for _, l := range plan.Lines {
		if !strings.Contains(strings.Join(l.Reasons, "; "), string(later)) && l.Entry.ID != ids[5] {
			t.Errorf("%s: the reasons %q do not name it", l.Entry.ID, l.Reasons)
		}
	}
	earlier, err := catalog.NewID(ids[0].Time().Add(-time.Minute), 3, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.ss[0].Delete(t.Context(), catalog.ManifestKey("prod", later)),
		h.ss[0].Put(t.Context(), catalog.ManifestKey("prod", earlier), strings.NewReader(`{"format":1,`), 12)); err != nil {
		t.Fatal(err)
	}
	if n := len(h.look(t, policy).Removals()); n != 5 {
		t.Errorf("%d removals beside an older one that cannot be read", n)
	}
}

// TestASinkThatLagsBehindIsNotEmptied: it missed every backup that is kept.
func TestASinkThatLagsBehindIsNotEmptied(t *testing.T) {
	t.Parallel()
	h := newHouse(2)
	old := h.backups(t, 3)
	both := h.ss
	h.ss = both[:1]
	kept := h.backups(t, 4)
	h.ss = both
	plan := h.look(t, retention.Policy{Last: 2, Floor: 1, All: true})
	if warned := strings.Join(plan.Warnings, "\n"); !strings.Contains(warned, "mem:1 would have no whole backup left") || !strings.Contains(warned, string(old[2])) {
		t.Errorf("warnings: %s", warned)
	}
	if _, err := plan.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]catalog.ID{old[2]}, h.left(t, 1)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]catalog.ID{old[2], kept[2], kept[3]}, h.left(t, 0)); diff != "" {
		t.Error(diff)
	}
	// Once it has a newer one, the old one goes.
	h.backup(t)
	if _, err := h.look(t, retention.Policy{Last: 2, Floor: 1, All: true}).Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := h.left(t, 1); len(left) != 1 || left[0] == old[2] {
		t.Errorf("left %q", left)
	}
}

// TestASinkIsNotEmptiedOfItsWholeCopies: of those that are kept it has only the manifest, or a copy that a verification found damaged, and so it is of one
// of those that would go.
func TestASinkIsNotEmptiedOfItsWholeCopies(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, s catalog.Named, id catalog.ID){
		"missing": func(t *testing.T, s catalog.Named, id catalog.ID) {
			if err := s.Delete(t.Context(), catalog.SealedKey("prod", id, true)); err != nil {
				t.Fatal(err)
			}
		},
		"found damaged": func(t *testing.T, s catalog.Named, id catalog.ID) {
			bad := catalog.Report{Report: catalog.ReportVerify, ID: id, Cluster: "prod", Time: time.Now(), Sinks: []catalog.SinkResult{{Sink: s.Name}}}
			if err := catalog.PutReport(t.Context(), s, bad); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(2)
			ids := h.backups(t, 6)
			for _, id := range ids[3:] {
				spoil(t, h.ss[1], id)
			}
			plan := h.look(t, retention.Policy{Last: 2, Floor: 1, All: true})
			if warned := strings.Join(plan.Warnings, "\n"); !strings.Contains(warned, "mem:1 would have no whole backup left") {
				t.Errorf("warnings: %s", warned)
			}
			var gone []catalog.ID
			for _, l := range plan.Removals() {
				gone = append(gone, l.Entry.ID)
			}
			same(t, "removed", []catalog.ID{ids[0], ids[1], ids[3]}, gone)
		})
	}
}
