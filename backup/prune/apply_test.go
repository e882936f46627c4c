package prune_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/backup/prune"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/retention"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// A watched sink lets something happen just before a deletion, which may also fail.
type watched struct {
	sinks.Sink
	before func(key string) error
	list   error
}

func (w *watched) Delete(ctx context.Context, key string) error {
	if w.before != nil {
		if err := w.before(key); err != nil {
			return err
		}
	}
	return w.Sink.Delete(ctx, key)
}

func (w *watched) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	if w.list != nil {
		return func(yield func(sinks.Object, error) bool) { yield(sinks.Object{}, w.list) }
	}
	return w.Sink.List(ctx, prefix)
}

// house is a cluster's backups in some sinks.
type house struct {
	ss      []catalog.Named
	watched []*watched
	trust   catalog.Trust
	signer  []note.Signer
	at      time.Time
	etcd    catalog.HexID
	made    int // backups so far
}

func newHouse(sinkCount int) *house {
	h := &house{at: time.Now().UTC().Truncate(time.Second).AddDate(0, 0, -2), etcd: 0xa}
	for i := range sinkCount {
		w := &watched{Sink: mem.New()}
		h.watched = append(h.watched, w)
		h.ss = append(h.ss, catalog.Named{Name: fmt.Sprint("mem:", i), Sink: w})
	}
	return h
}

// backup commits one, an hour after the one before.
func (h *house) backup(t *testing.T) catalog.ID {
	t.Helper()
	h.at = h.at.Add(time.Hour)
	l, err := catalog.List(t.Context(), h.ss, "prod", h.trust)
	if err != nil {
		t.Fatal(err)
	}
	revision := int64(100 + h.made)
	m := catalog.Manifest{
		ID: catalog.ID(fmt.Sprintf("%s-r%d-%06x", h.at.Format("20060102T150405Z"), revision, h.made)), Cluster: "prod",
		Lineage: catalog.Lineage{EtcdClusterID: h.etcd}, Started: h.at, Finished: h.at.Add(time.Minute),
		Revision: revision, CompactRevision: -1, LiveKeys: 10,
		Plain:    catalog.Plain{Size: 6, SHA256: strings.Repeat("0", 64)},
		Sealed:   catalog.Sealed{Size: 6, SHA256: strings.Repeat("0", 64), Compression: "zstd", Stanzas: []string{"X25519"}},
		ReadBack: catalog.ReadBack{Mode: "always", OK: true},
	}
	h.made++
	m.Sealed.Key = catalog.SealedKey("prod", m.ID, true)
	l.Link(&m)
	data, err := catalog.Encode(m, h.signer...)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range h.ss {
		if err := s.Put(t.Context(), m.Sealed.Key, bytes.NewReader([]byte("sealed")), 6); err != nil {
			t.Fatal(err)
		}
		if err := catalog.Commit(t.Context(), s, data); err != nil {
			t.Fatal(err)
		}
	}
	return m.ID
}

func (h *house) backups(t *testing.T, n int) (ids []catalog.ID) {
	t.Helper()
	for range n {
		ids = append(ids, h.backup(t))
	}
	return ids
}

func (h *house) options(p retention.Policy) prune.Options {
	return prune.Options{Sinks: h.ss, Trust: h.trust, Policy: p, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

func (h *house) look(t *testing.T, p retention.Policy) *prune.Plan {
	t.Helper()
	plan, err := prune.Look(t.Context(), h.options(p))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// left are the backups that can be restored from a sink: manifest and payload.
func (h *house) left(t *testing.T, i int) (ids []catalog.ID) {
	t.Helper()
	l, err := catalog.List(t.Context(), h.ss[i:i+1], "prod", h.trust)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.Entries {
		r, err := h.ss[i].Open(t.Context(), e.Manifest.Sealed.Key, 0)
		if err != nil {
			t.Errorf("%s is listed in %s and has no payload: %v", e.ID, h.ss[i].Name, err)
			continue
		}
		_ = r.Close() // nothing was read
		ids = append(ids, e.ID)
	}
	return ids
}

func (h *house) mark(t *testing.T, id catalog.ID, kind catalog.MarkKind, signer ...note.Signer) {
	t.Helper()
	for _, s := range h.ss {
		if err := catalog.PutMark(t.Context(), s, catalog.Mark{ID: id, Cluster: "prod", Mark: kind, Time: time.Now()}, signer...); err != nil {
			t.Fatal(err)
		}
	}
}

func same(t *testing.T, what string, want, got []catalog.ID) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func TestADryRunRemovesNothingAndApplyRemovesFromEverySink(t *testing.T) {
	t.Parallel()
	h := newHouse(2)
	ids := h.backups(t, 6)
	plan := h.look(t, retention.Policy{Last: 2, Floor: 2, All: true})
	for i := range h.ss {
		same(t, "after looking", ids, h.left(t, i))
	}
	r, err := plan.Apply(t.Context())
	if err != nil || len(r.Failed)+len(r.Locked)+len(r.Spared) > 0 || r.Bytes != 4*2*6 {
		t.Errorf("%+v, %v", r, err)
	}
	same(t, "removed", ids[:4], r.Removed)
	for i := range h.ss {
		same(t, "after applying", ids[4:], h.left(t, i))
	}
	if r, err := h.look(t, retention.Policy{Last: 2, Floor: 2, All: true}).Apply(t.Context()); err != nil || len(r.Removed) > 0 {
		t.Errorf("once more: %+v, %v", r, err)
	}
}

func TestAHoldPlacedASecondAgoWins(t *testing.T) {
	t.Parallel()
	h := newHouse(2)
	ids := h.backups(t, 6)
	h.watched[0].before = func(key string) error {
		if key == catalog.ManifestKey("prod", ids[1]) { // the second is on its way out when the third is held
			h.watched[0].before = nil
			h.mark(t, ids[2], catalog.MarkHold)
		}
		return nil
	}
	r, err := h.look(t, retention.Policy{Last: 1, Floor: 1, All: true}).Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "left", []catalog.ID{ids[2], ids[5]}, h.left(t, 0))
	if len(r.Spared) != 1 || r.Spared[0].ID != ids[2] || !strings.Contains(r.Spared[0].Reason, "held") {
		t.Errorf("spared are %+v", r.Spared)
	}
}

func TestASuspectBackupThatComesMeanwhileFreezesTheRest(t *testing.T) {
	t.Parallel()
	h := newHouse(1)
	ids := h.backups(t, 6)
	plan := h.look(t, retention.Policy{Last: 1, Floor: 1, All: true})
	h.etcd = 0xb // a foreign cluster, or this one after it was wiped
	foreign := h.backup(t)
	r, err := plan.Apply(t.Context())
	if err != nil || len(r.Removed) > 0 || len(r.Spared) != 5 {
		t.Errorf("%+v, %v", r, err)
	}
	same(t, "left", append(slices.Clone(ids), foreign), h.left(t, 0))

	again := h.look(t, retention.Policy{Last: 1, Floor: 1, All: true})
	if f := again.Frozen(); len(again.Removals()) > 0 || len(f) != 1 || f[0] != foreign {
		t.Errorf("%d removals, frozen by %v", len(again.Removals()), f)
	}
	h.mark(t, foreign, catalog.MarkAccept)
	if _, err := h.look(t, retention.Policy{Last: 1, Floor: 1, All: true}).Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, "accepted", []catalog.ID{ids[5], foreign}, h.left(t, 0))
}

// One keeps what the other removes: together they must not go under the floor.
func TestTwoPrunesWithDifferentPoliciesDoNotAddUp(t *testing.T) {
	t.Parallel()
	h := newHouse(1)
	ids := h.backups(t, 8)
	first := h.look(t, retention.Policy{Last: 3, Floor: 3, All: true})
	second := h.look(t, retention.Policy{Last: 5, Floor: 5, All: true})
	r, err := second.Apply(t.Context())
	if err != nil || len(r.Removed) != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = first.Apply(t.Context()); err != nil || len(r.Removed) != 2 || len(r.Spared) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	same(t, "left", ids[5:], h.left(t, 0))
}

func TestALockIsReportedAndNoFailure(t *testing.T) {
	t.Parallel()
	h := newHouse(2)
	ids := h.backups(t, 4)
	h.watched[0].before = func(key string) error {
		if strings.Contains(key, string(ids[1])) {
			return &sinks.Error{Op: "delete", Sink: "mem:0", Key: key, Err: sinks.Because("kept until 2030", sinks.ErrLocked, fs.ErrPermission)}
		}
		return nil
	}
	r, err := h.look(t, retention.Policy{Last: 1, Floor: 1, All: true}).Apply(t.Context())
	if err != nil || len(r.Failed) > 0 || len(r.Locked) != 1 || r.Locked[0].ID != ids[1] {
		t.Errorf("%+v, %v", r, err)
	}
	same(t, "removed", []catalog.ID{ids[0], ids[2]}, r.Removed)
	same(t, "left where it is locked", []catalog.ID{ids[1], ids[3]}, h.left(t, 0))
	same(t, "left elsewhere", ids[3:], h.left(t, 1))
}

func TestASinkThatForbidsDeletingIsAskedOnceAndKeepsItsBackupsWhole(t *testing.T) {
	t.Parallel()
	h := newHouse(2)
	ids := h.backups(t, 5)
	asked := 0
	h.watched[0].before = func(key string) error {
		asked++
		return &sinks.Error{Op: "delete", Sink: "mem:0", Key: key, Err: sinks.Because("access denied", fs.ErrPermission)}
	}
	r, err := h.look(t, retention.Policy{Last: 1, Floor: 1, All: true}).Apply(t.Context())
	if err != nil || len(r.Failed) != 1 || len(r.Removed) > 0 || asked != 1 {
		t.Errorf("asked %d times: %+v, %v", asked, r, err)
	}
	same(t, "left where it is forbidden", ids, h.left(t, 0))
	same(t, "left elsewhere", ids[4:], h.left(t, 1))
}

func TestNothingIsRemovedWhereNotEverythingCanBeRead(t *testing.T) {
	t.Parallel()
	down := &sinks.Error{Op: "list", Sink: "mem:1", Err: errors.New("down")}
	h := newHouse(2)
	ids := h.backups(t, 5)
	h.watched[1].list = down
	_, err := prune.Look(t.Context(), h.options(retention.Policy{Last: 1, All: true}))
	if unread := (*prune.UnreadableError)(nil); !errors.As(err, &unread) || !errors.Is(err, down) {
		t.Errorf("one sink of two: %v", err)
	}
	h.watched[1].list = nil
	plan := h.look(t, retention.Policy{Last: 1, Floor: 1, All: true})
	h.watched[0].before = func(string) error { // it goes away while the first is removed
		h.watched[1].list = down
		return nil
	}
	if r, err := plan.Apply(t.Context()); !errors.Is(err, down) || len(r.Removed) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	h.watched[1].list = nil
	same(t, "left", ids[1:], h.left(t, 1))

	unknown := `{"format":2,"kind":"full"}` + "\n"
	if err := h.ss[0].Put(t.Context(), catalog.ManifestKey("prod", "20270101T000000Z-r1-aaaaaa"), strings.NewReader(unknown), int64(len(unknown))); err != nil {
		t.Fatal(err)
	}
	if _, err := prune.Look(t.Context(), h.options(retention.Policy{Last: 1})); !errors.Is(err, catalog.ErrUnsupported) {
		t.Errorf("a newer version's manifest: %v", err)
	}
}

func TestWhereKeysAreTrustedOnlyWhatTheySignedCounts(t *testing.T) {
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
	h.signer = []note.Signer{signer}
	signed := h.backups(t, 4)
	h.signer = nil
	forged := h.backups(t, 5) // by somebody with the bucket's key: it continues the lineage
	h.trust.Verifiers = note.VerifierList(verifier)
	h.mark(t, signed[1], catalog.MarkHold)         // nobody vouches for it, but it may have been a real one
	h.mark(t, signed[2], catalog.MarkHold, signer) // this counts,
	h.mark(t, signed[2], catalog.MarkRelease)      // and this does not
	for _, accept := range []bool{false, true} {
		h.trust.AcceptUnsigned = accept
		plan := h.look(t, retention.Policy{Last: 1, Floor: 1, All: true})
		var going []catalog.ID
		for _, l := range plan.Removals() {
			going = append(going, l.Entry.ID)
		}
		same(t, fmt.Sprint("going, with unsigned ones accepted: ", accept), signed[:1], going)
	}
	if _, err := h.look(t, retention.Policy{Last: 1, Floor: 1, All: true}).Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.trust = catalog.Trust{}
	same(t, "left", slices.Concat(signed[1:], forged), h.left(t, 0))
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

func TestABackupWithoutItsPayloadCountsForNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(2)
	ids := h.backups(t, 6)
	for _, s := range h.ss { // of the two newest in every sink; of the one before in one only
		for _, id := range ids[4:] {
			if err := s.Delete(t.Context(), catalog.SealedKey("prod", id, true)); err != nil {
				t.Fatal(err)
			}
			// What somebody put aside is not where a restore looks.
			if err := s.Put(t.Context(), catalog.SealedKey("prod", id, true)+".aside", bytes.NewReader([]byte("sealed")), 6); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := h.ss[0].Delete(t.Context(), catalog.SealedKey("prod", ids[3], true)); err != nil {
		t.Fatal(err)
	}
	var stay []catalog.ID
	for _, l := range h.look(t, retention.Policy{Last: 2, Floor: 2, All: true}).Lines {
		if l.Verdict == retention.Keep {
			stay = append(stay, l.Entry.ID)
		}
	}
	same(t, "kept", ids[2:], stay)
}

func TestAHostWhoseClockRunsAheadDoesNotMakeWithinRemoveEverything(t *testing.T) {
	t.Parallel()
	h := newHouse(1)
	ids := h.backups(t, 5)
	h.at = time.Now().AddDate(20, 0, 0).UTC().Truncate(time.Second) // one backup by a wrong clock, and then prune by the same
	rogue := h.backup(t)
	o := h.options(retention.Policy{Within: 72 * time.Hour, Floor: 1, All: true})
	o.Now = func() time.Time { return time.Now().AddDate(20, 0, 1) }
	plan, err := prune.Look(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := plan.Apply(t.Context()); err != nil || len(r.Removed) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	same(t, "left", append(ids, rogue), h.left(t, 0))
}
