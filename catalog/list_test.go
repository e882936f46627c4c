package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/sinks/file"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// backupAt commits a backup as the pipeline does, so many minutes after day0.
func backupAt(t testing.TB, ss []Named, minute int, etcd HexID, revision, keys int64, k key) ID {
	t.Helper()
	start := day0().Add(time.Duration(minute) * time.Minute)
	m := sample(ID(fmt.Sprintf("%s-r%d-%06x", start.Format(idTime), revision, minute)))
	m.Lineage = Lineage{EtcdClusterID: etcd}
	m.LiveKeys = keys
	l, err := List(t.Context(), ss, "prod", k.trust)
	if err != nil {
		t.Fatal(err)
	}
	l.Link(&m)
	var signers []note.Signer
	if k.signer != nil {
		signers = append(signers, k.signer)
	}
	data := encode(t, m, signers...)
	for _, s := range ss {
		if err := Commit(t.Context(), s, data); err != nil {
			t.Fatal(err)
		}
	}
	return m.ID
}

func list(t testing.TB, ss []Named, trust Trust) Listing {
	t.Helper()
	l, err := List(t.Context(), ss, "prod", trust)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func ids(l Listing) (all []ID) {
	for _, e := range l.Entries {
		all = append(all, e.ID)
	}
	return all
}

func TestListingMergesSinks(t *testing.T) {
	t.Parallel()
	dir, err := file.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a, b := Named{"mem:a", mem.New()}, Named{"file:///b", dir}
	k := newKey(t, "prod")
	one := backupAt(t, []Named{a, b}, 0, 0xa, 100, 1000, k)
	two := backupAt(t, []Named{a}, 15, 0xa, 150, 1000, k)
	three := backupAt(t, []Named{b}, 30, 0xa, 200, 1000, k)

	l := list(t, []Named{a, b}, k.trust)
	if diff := cmp.Diff([]ID{one, two, three}, ids(l)); diff != "" {
		t.Error(diff)
	}
	var where [][]string
	for _, e := range l.Entries {
		where = append(where, e.Sinks)
		if !e.Sig.Trusted || len(e.Doubts) > 0 {
			t.Errorf("%s: %+v, doubts %q", e.ID, e.Sig, e.Doubts)
		}
	}
	if diff := cmp.Diff([][]string{{"mem:a", "file:///b"}, {"mem:a"}, {"file:///b"}}, where); diff != "" {
		t.Error(diff)
	}
	if len(l.Problems) > 0 || l.Cluster != "prod" {
		t.Errorf("%v", l.Problems)
	}
	// The third's writer saw only its own sink, so its chain begins at the first.
	if l.Entries[2].Previous.ID != one || l.Entries[1].Previous.ID != one || l.Entries[1].Sequence != 2 || l.Entries[0].Previous != nil {
		t.Errorf("chain %v %v", l.Entries[1].Previous, l.Entries[2].Previous)
	}
	if l.Entries[1].Previous.TextSHA256 != l.Entries[0].TextSHA256 {
		t.Error("the chain's hash is not the one of the text")
	}
	if err := a.Delete(t.Context(), ManifestKey("prod", one)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Gap{{two, one}}, list(t, []Named{a}, k.trust).Gaps); diff != "" {
		t.Error(diff)
	}
}

func TestDamagedAndForeignObjectsNeverEndAListing(t *testing.T) {
	t.Parallel()
	a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
	k := newKey(t, "prod")
	good := backupAt(t, []Named{a, b}, 0, 0xa, 100, 1000, k)
	at := func(minute int) (Manifest, string) {
		start := day0().Add(time.Duration(minute) * time.Minute)
		m := sample(ID(fmt.Sprintf("%s-r7-%06x", start.Format(idTime), minute)))
		return m, ManifestKey("prod", m.ID)
	}
	want := map[string]error{}
	add := func(key string, data []byte, err error) {
		put(t, a, key, data)
		want["mem:a "+key] = err
	}
	m, mk := at(1)
	add(mk, encode(t, m), ErrNotAuthentic) // unsigned
	_, mk = at(2)
	add(mk, encode(t, m, k.signer), ErrNotAuthentic) // another's place
	m, mk = at(3)
	add(mk, encode(t, m, newKey(t, "prod").signer), ErrNotAuthentic)
	_, mk = at(4)
	add(mk, []byte{}, ErrNotAuthentic)
	_, mk = at(5)
	add(mk, make([]byte, maxNote+1), ErrNotAuthentic)
	add("v1/prod/manifests/README.txt", []byte("hello"), ErrDamaged)
	add("v1/prod/manifests/latest.note", []byte("hello"), ErrDamaged)
	add("v1/prod/manifests/deeper/x.note", []byte("hello"), ErrDamaged)
	m, mk = at(6)
	m.Cluster, m.Sealed.Key = "test", SealedKey("test", m.ID, true)
	add(mk, encode(t, m, k.signer), ErrNotAuthentic)
	m, mk = at(7)
	future := strings.Replace(string(encode(t, m)), `"format":1`, `"format":2`, 1)
	signed, err := note.Sign(&note.Note{Text: future}, k.signer)
	if err != nil {
		t.Fatal(err)
	}
	add(mk, signed, ErrUnsupported)
	m, mk = at(8) // two texts of one id, both signed
	put(t, a, mk, encode(t, m, k.signer))
	m.LiveKeys++
	put(t, b, mk, encode(t, m, k.signer))
	want["mem:b "+mk] = ErrNotAuthentic
	put(t, a, "v1/other/manifests/x.note", []byte("another cluster's, so nobody's business"))

	_, long := at(5)
	for _, p := range list(t, []Named{a}, Trust{}).Problems { // nobody is trusted, so nothing is forged
		if p.Key == long && !errors.Is(p, ErrDamaged) {
			t.Errorf("longer than a note, and no key is trusted: %v", p)
		}
	}
	l := list(t, []Named{a, b}, k.trust)
	if diff := cmp.Diff([]ID{good, m.ID}, ids(l)); diff != "" {
		t.Error(diff)
	}
	for _, p := range l.Problems {
		at := p.Sink + " " + p.Key
		if cause := want[at]; cause == nil || !errors.Is(p, cause) {
			t.Errorf("%s: got %v, want %v", at, p, cause)
		}
		if !strings.Contains(p.Error(), p.Key) || !strings.Contains(p.Error(), p.Sink) {
			t.Errorf("%q does not tell where", p)
		}
		delete(want, at)
	}
	for at := range want {
		t.Errorf("%s is not among the problems", at)
	}
}

func TestASinkThatCannotBeReachedIsAProblemUnlessItIsTheLast(t *testing.T) {
	t.Parallel()
	a := Named{"mem:a", mem.New()}
	one := backupAt(t, []Named{a}, 0, 0xa, 100, 1000, key{})
	down := func(err error) Named { return Named{"s3://down", &faulty{Sink: mem.New(), list: err}} }
	refused, forbidden := errors.New("connection refused"), fs.ErrPermission
	for _, cluster := range []string{"prod", ""} {
		l, err := List(t.Context(), []Named{down(refused), a}, cluster, Trust{})
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Entries) != 1 || l.Entries[0].ID != one || len(l.Problems) != 1 || !errors.Is(l.Problems[0], refused) || l.Problems[0].Sink != "s3://down" {
			t.Errorf("%v %v", ids(l), l.Problems)
		}
		_, err = List(t.Context(), []Named{down(refused), down(forbidden)}, cluster, Trust{})
		if !errors.Is(err, refused) || !errors.Is(err, forbidden) || strings.Contains(err.Error(), "\n") {
			t.Errorf("all down: %v", err)
		}
		if _, err := List(t.Context(), nil, cluster, Trust{}); !errors.Is(err, ErrUsage) {
			t.Errorf("no sink: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := List(ctx, []Named{a}, "prod", Trust{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestUnreadableManifestsAreProblemsAndVanishedOnesAreNot(t *testing.T) {
	t.Parallel()
	store := mem.New()
	one := backupAt(t, []Named{{"mem:", store}}, 0, 0xa, 100, 1000, key{})
	reset := errors.New("connection reset")
	for err, problems := range map[error]int{reset: 1, fs.ErrNotExist: 0} {
		l := list(t, []Named{{"mem:", &faulty{Sink: store, open: func(context.Context, string) (io.ReadCloser, error) { return nil, err }}}}, Trust{})
		if len(l.Entries) != 0 || len(l.Problems) != problems || problems == 1 && l.Problems[0].ID != one {
			t.Errorf("%v: %v %v", err, ids(l), l.Problems)
		}
	}
}

func TestSeveralClustersNeedAName(t *testing.T) {
	t.Parallel()
	a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
	if l, err := List(t.Context(), []Named{a}, "", Trust{}); err != nil || l.Cluster != "" || len(l.Entries) != 0 || len(l.Problems) != 0 {
		t.Errorf("nothing there: %+v %v", l, err)
	}
	down := Named{"mem:down", &faulty{Sink: mem.New(), list: errors.New("connection refused")}}
	if l, err := List(t.Context(), []Named{a, down}, "", Trust{}); err != nil || l.Cluster != "" || len(l.Problems) != 1 {
		t.Errorf("nothing in one, and the other cannot be seen: %+v %v", l, err)
	}
	backupAt(t, []Named{a}, 0, 0xa, 100, 1000, key{})
	put(t, b, "v1/dev/snapshots/orphan", nil) // no manifest, so no cluster
	put(t, b, "v1/we ird/manifests/x.note", nil)
	put(t, b, "v2/later/manifests/x.note", nil)
	if l, err := List(t.Context(), []Named{a, b}, "", Trust{}); err != nil || l.Cluster != "prod" || len(l.Entries) != 1 {
		t.Errorf("one there: %+v %v", l, err)
	}
	put(t, b, "v1/dev.2/manifests/x.note", nil)
	_, err := List(t.Context(), []Named{a, b}, "", Trust{})
	var several *SeveralClustersError
	if !errors.As(err, &several) || !errors.Is(err, ErrSeveralClusters) || !cmp.Equal(several.Clusters, []string{"dev.2", "prod"}) {
		t.Errorf("several: %v", err)
	}
	l, err := List(t.Context(), []Named{a, b}, "staging", Trust{})
	if err != nil || !cmp.Equal(l.Others, []string{"dev.2", "prod"}) {
		t.Errorf("another: %+v %v", l, err)
	}
	if _, err := List(t.Context(), []Named{a}, "../prod", Trust{}); !errors.Is(err, ErrUsage) {
		t.Errorf("bad name: %v", err)
	}
}

func TestMarksDecide(t *testing.T) {
	t.Parallel()
	a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
	both := []Named{a, b}
	k, stranger := newKey(t, "prod"), newKey(t, "stranger")
	one := backupAt(t, both, 0, 0xa, 100, 1000, k)
	two := backupAt(t, both, 15, 0xb, 50, 1000, k) // another cluster: suspect
	three := backupAt(t, both, 30, 0xb, 60, 1000, k)
	mark := func(s Named, id ID, kind MarkKind, minute int, signer note.Signer) {
		t.Helper()
		m := Mark{ID: id, Cluster: "prod", Mark: kind, Time: day0().Add(time.Duration(minute) * time.Minute), Reason: "because"}
		var signers []note.Signer
		if signer != nil {
			signers = append(signers, signer)
		}
		if err := PutMark(t.Context(), s, m, signers...); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, held, doubted string, ignored int) {
		t.Helper()
		l := list(t, both, k.trust)
		var h, d string
		for _, e := range l.Entries {
			h += map[bool]string{true: "h", false: "-"}[e.Held]
			d += map[bool]string{true: "?", false: "-"}[len(e.Doubts) > 0]
		}
		if h != held || d != doubted || l.IgnoredMarks != ignored || len(l.Problems) > 0 {
			t.Errorf("%s: held %s want %s, doubted %s want %s, %d ignored, want %d, %v", what, h, held, d, doubted, l.IgnoredMarks, ignored, l.Problems)
		}
	}
	want("no marks", "---", "-??", 0)
	mark(a, one, MarkHold, 100, k.signer)
	want("held in one sink", "h--", "-??", 0)
	mark(b, one, MarkRelease, 101, k.signer)
	want("released in the other", "---", "-??", 0)
	mark(b, one, MarkHold, 102, k.signer)
	mark(a, one, MarkHold, 102, k.signer)
	want("held again in both", "h--", "-??", 0)
	mark(a, one, MarkRelease, 103, nil)
	mark(b, one, MarkRelease, 104, stranger.signer)
	mark(a, three, MarkAccept, 105, stranger.signer)
	want("marks of strangers", "h--", "-??", 3)
	mark(a, one, MarkRelease, 99, k.signer)
	want("an older release", "h--", "-??", 3)
	mark(b, three, MarkAccept, 106, k.signer)
	want("accepted", "h--", "---", 3)
	mark(a, "20200101T000000Z-r1-000000", MarkHold, 107, k.signer)
	want("of a backup that is gone", "h--", "---", 3)
	four := backupAt(t, both, 45, 0xb, 70, 1000, k)
	want("after the acceptance", "h---", "----", 3)

	// The newer ones stay accepted when the one with the mark is pruned: the last was written without suspicion.
	for _, s := range both {
		if err := s.Delete(t.Context(), ManifestKey("prod", three)); err != nil {
			t.Fatal(err)
		}
	}
	want("the marked one pruned", "h--", "---", 3)
	l := list(t, both, k.trust)
	if l.Entries[2].ID != four || l.Entries[2].Lineage.First != two {
		t.Errorf("%+v", l.Entries[2].Lineage)
	}
	// Without trusted keys everybody's marks count.
	if l := list(t, both, Trust{}); l.IgnoredMarks != 0 || l.Entries[0].Held {
		t.Errorf("%d ignored, held %v", l.IgnoredMarks, l.Entries[0].Held)
	}
}

func TestBadMarksAreProblems(t *testing.T) {
	t.Parallel()
	a := Named{"mem:a", mem.New()}
	backupAt(t, []Named{a}, 0, 0xa, 100, 1000, key{})
	good := Mark{ID: id1, Cluster: "prod", Mark: MarkHold, Time: day0()}
	data, err := EncodeMark(good)
	if err != nil {
		t.Fatal(err)
	}
	later := good
	later.Time = later.Time.Add(time.Hour)
	put(t, a, later.key(), data) // replayed under a later time
	later.Time = later.Time.Add(time.Hour)
	put(t, a, later.key(), []byte("{}\n"))
	later.Time = later.Time.Add(time.Hour)
	put(t, a, later.key(), []byte(strings.Replace(string(data), `"format":1`, `"format":2`, 1)))
	put(t, a, "v1/prod/marks/notes.txt", []byte("x"))
	l := list(t, []Named{a}, Trust{})
	if len(l.Problems) != 4 || !errors.Is(l.Problems[0], ErrNotAuthentic) || !errors.Is(l.Problems[1], ErrUnsupported) ||
		!errors.Is(l.Problems[2], ErrUnsupported) || !errors.Is(l.Problems[3], ErrDamaged) {
		t.Errorf("%v", l.Problems)
	}
	for _, m := range []Mark{{}, {ID: id1, Cluster: "prod", Mark: "burn", Time: day0()}, {ID: id1, Cluster: "..", Mark: MarkHold, Time: day0()}, {ID: id1, Cluster: "prod", Mark: MarkHold}} {
		if err := PutMark(t.Context(), a, m); err == nil {
			t.Errorf("%+v was written", m)
		}
	}
}

func TestAForgedPredecessorIsSeen(t *testing.T) {
	t.Parallel()
	a := Named{"mem:a", mem.New()}
	one := backupAt(t, []Named{a}, 0, 0xa, 100, 1000, key{})
	two := backupAt(t, []Named{a}, 15, 0xa, 150, 1000, key{})
	m := list(t, []Named{a}, Trust{}).Entries[0].Manifest
	m.LiveKeys = 5
	if err := a.Delete(t.Context(), ManifestKey("prod", one)); err != nil {
		t.Fatal(err)
	}
	put(t, a, ManifestKey("prod", one), encode(t, m))
	l := list(t, []Named{a}, Trust{})
	if len(l.Problems) != 1 || l.Problems[0].ID != two || !errors.Is(l.Problems[0], ErrNotAuthentic) {
		t.Errorf("%v", l.Problems)
	}
}

func TestTheFirstBackupIsSuspectIfOthersMayBeUnseen(t *testing.T) {
	t.Parallel()
	a := Named{"mem:a", mem.New()}
	m := sample(id1)
	list(t, []Named{a}, Trust{}).Link(&m)
	if m.Sequence != 1 || m.Previous != nil || m.Lineage.First != m.ID || len(m.Suspect.Reasons) > 0 {
		t.Errorf("first of all: %d %v %v %q", m.Sequence, m.Previous, m.Lineage, m.Suspect.Reasons)
	}
	down := Named{"s3://old", &faulty{Sink: mem.New(), list: errors.New("connection refused")}}
	list(t, []Named{a, down}, Trust{}).Link(&m)
	if len(m.Suspect.Reasons) != 1 || !strings.Contains(m.Suspect.Reasons[0], "s3://old") {
		t.Errorf("with a sink unseen: %q", m.Suspect.Reasons)
	}
}

func TestWhatWasUnseenIsClearedOnceEverySinkCanBeReadAndHidesNothing(t *testing.T) {
	t.Parallel()
	a, store := Named{"mem:a", mem.New()}, mem.New()
	down := Named{"s3://b", &faulty{Sink: store, list: errors.New("connection refused")}}
	m := sample(id1)
	list(t, []Named{a, down}, Trust{}).Link(&m)
	put(t, a, ManifestKey("prod", m.ID), encode(t, m))
	latest := func(ss ...Named) error {
		_, _, err := list(t, ss, Trust{}).Resolve("latest", day0().AddDate(1, 0, 0))
		return err
	}
	if err := latest(a, down); !errors.Is(err, ErrNotFound) {
		t.Errorf("while the sink is unseen: %v", err)
	}
	if err := latest(a, Named{"s3://b", store}); err != nil {
		t.Errorf("once it can be read and is empty: %v", err)
	}
	older := sample("20250101T000000Z-r7-aaaaaa")
	older.Revision, older.Started, older.Finished = 7, older.ID.Time(), older.ID.Time()
	older.CompactRevision, older.HashKV.Revision = 1, 7
	older.Sealed.Key, older.Suspect, older.Previous = SealedKey("prod", older.ID, true), Suspect{}, nil
	older.Lineage = Lineage{First: older.ID, EtcdClusterID: 0xdead}
	put(t, Named{"s3://b", store}, ManifestKey("prod", older.ID), encode(t, older))
	e, _, err := list(t, []Named{a, {"s3://b", store}}, Trust{}).Resolve("latest", day0().AddDate(1, 0, 0))
	if err != nil || e.ID != older.ID {
		t.Errorf("once it shows an older lineage: %s, %v", e.ID, err)
	}
}

func TestThousandsOfManifestsAreFetchedSeveralAtOnce(t *testing.T) {
	t.Parallel()
	store := mem.New()
	m := sample(id1)
	const n = 1200
	for i := range n {
		m.ID = ID(fmt.Sprintf("%s-r%d-000000", day0().Add(time.Duration(i)*time.Minute).Format(idTime), i+1000))
		m.Revision, m.Started, m.Sealed.Key = m.ID.Revision(), m.ID.Time(), SealedKey("prod", m.ID, true)
		put(t, store, ManifestKey("prod", m.ID), encode(t, m))
	}
	var now, most atomic.Int64
	slow := &faulty{Sink: store, open: func(ctx context.Context, key string) (io.ReadCloser, error) {
		k := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); k > old && !most.CompareAndSwap(old, k); old = most.Load() {
		}
		time.Sleep(time.Millisecond)
		return store.Open(ctx, key, 0)
	}}
	l := list(t, []Named{{"s3://slow", slow}}, Trust{})
	if len(l.Entries) != n || len(l.Problems) > 0 {
		t.Errorf("%d entries, %v", len(l.Entries), l.Problems)
	}
	if got := most.Load(); got > fetches || got < 2 {
		t.Errorf("%d fetches at once", got)
	}
	if diff := cmp.Diff(sorted(l.Entries), l.Entries, cmpopts.IgnoreFields(Entry{}, "Manifest.Source")); diff != "" {
		t.Error("not in id order")
	}
}
