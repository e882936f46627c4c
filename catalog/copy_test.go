package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// stored makes a backup with a payload, in all of the sinks.
func stored(t testing.TB, ss []Named, minute int, revision int64, k key) ID {
	t.Helper()
	start := day0().Add(time.Duration(minute) * time.Minute)
	m := sample(ID(fmt.Sprintf("%s-r%d-%06x", start.Format(idTime), revision, minute)))
	m.Lineage, m.LiveKeys = Lineage{EtcdClusterID: 1}, 100
	body := bytes.Repeat([]byte(m.ID), 50_000)
	sum := sha256.Sum256(body)
	m.Sealed.Size, m.Sealed.SHA256 = int64(len(body)), hex.EncodeToString(sum[:])
	list(t, ss, k.trust).Link(&m)
	var signers []note.Signer
	if k.signer != nil {
		signers = append(signers, k.signer)
	}
	data := encode(t, m, signers...)
	for _, s := range ss {
		put(t, s, m.Sealed.Key, body)
		if err := Commit(t.Context(), s, data); err != nil {
			t.Fatal(err)
		}
	}
	return m.ID
}

func copier(t testing.TB, trust Trust, to Named, from ...Named) Copier {
	t.Helper()
	room, err := os.Create(filepath.Join(t.TempDir(), "room"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = room.Close() })
	return Copier{From: from, To: to, Trust: trust, Room: room}
}

func everything(t testing.TB, s Named) map[string]string {
	t.Helper()
	all := map[string]string{}
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(t.Context(), o.Key, 0)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[o.Key] = string(data)
	}
	return all
}

// twoLineages fills a sink with two lineages, the second accepted, a hold, a report and a sidecar.
func twoLineages(t testing.TB, s Named, k key) {
	t.Helper()
	held := stored(t, []Named{s}, 0, 1000, k)
	stored(t, []Named{s}, 15, 1100, k)
	wiped := stored(t, []Named{s}, 30, 10, k)
	after := stored(t, []Named{s}, 45, 20, k)
	for _, m := range []Mark{{ID: held, Mark: MarkHold, Reason: "audit"}, {ID: wiped, Mark: MarkAccept}} {
		m.Cluster, m.Time = "prod", day0().Add(time.Hour)
		if err := PutMark(t.Context(), s, m, k.signer); err != nil {
			t.Fatal(err)
		}
	}
	r := Report{ID: after, Cluster: "prod", Report: ReportRehearse, Time: day0().Add(2 * time.Hour), OK: true}
	if err := PutReport(t.Context(), s, r, k.signer); err != nil {
		t.Fatal(err)
	}
	if err := PutSidecar(t.Context(), s, "prod", after, "0123456789abcdef", []byte("a key for later")); err != nil {
		t.Fatal(err)
	}
}

func TestACopyIsTheSameHistoryByteForByte(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	from, to := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
	twoLineages(t, from, k)
	c := copier(t, k.trust, to, from)
	before := list(t, []Named{from}, k.trust)
	for round := range 2 {
		for _, e := range before.Entries {
			done, err := c.Copy(t.Context(), e)
			if err != nil || done.Already != (round == 1) || len(done.Failed) > 0 || done.Ignored > 0 {
				t.Fatalf("round %d: copying %s: %+v, %v", round, e.ID, done, err)
			}
		}
		want, got := everything(t, from), everything(t, to)
		if len(got) != len(want) {
			t.Errorf("%d objects are there, not %d", len(got), len(want))
		}
		for key, text := range want {
			if got[key] != text {
				t.Errorf("%s differs", key)
			}
		}
	}
	after := list(t, []Named{to}, k.trust)
	for i, e := range before.Entries {
		got := after.Entries[i]
		if got.ID != e.ID || got.Held != e.Held || got.Accepted != e.Accepted || len(got.Doubts) != len(e.Doubts) || got.Lineage != e.Lineage || len(got.Reports) != len(e.Reports) {
			t.Errorf("%s became %+v", e.ID, got)
		}
	}
	if len(after.Problems)+len(after.Gaps) > 0 || after.Entries[3].Lineage == after.Entries[0].Lineage || len(after.Entries[3].Doubts) > 0 {
		t.Errorf("the copy is %+v", after)
	}
}

func TestADamagedSourceIsPassedOverAndNeverArrives(t *testing.T) {
	t.Parallel()
	bad, good, to := Named{"mem:bad", mem.New()}, Named{"mem:good", mem.New()}, Named{"mem:to", mem.New()}
	id := stored(t, []Named{bad, good}, 0, 1000, key{})
	e := list(t, []Named{bad, good}, Trust{}).Entries[0]
	sealed := e.Sealed.Key
	if err := bad.Delete(t.Context(), sealed); err != nil {
		t.Fatal(err)
	}
	put(t, bad, sealed, bytes.Repeat([]byte("?"), int(e.Sealed.Size)))

	if _, err := copier(t, Trust{}, to, bad).Copy(t.Context(), e); !errors.Is(err, ErrDamaged) {
		t.Errorf("copying from the damaged sink alone says: %v", err)
	}
	if there := everything(t, to); len(there) > 0 {
		t.Errorf("of a damaged backup these arrived: %d objects", len(there))
	}
	done, err := copier(t, Trust{}, to, bad, good).Copy(t.Context(), e)
	if err != nil || done.From != "mem:good" || len(done.Failed) != 1 || !errors.Is(done.Failed[0], ErrDamaged) {
		t.Errorf("copying from both: %+v, %v", done, err)
	}
	if err := VerifyDigest(t.Context(), to, e.Manifest, nil); err != nil {
		t.Error(err)
	}
	if e.ID != id {
		t.Errorf("copied was %s", e.ID)
	}
}

func TestWhatIsDifferentAtTheDestinationIsLeftAlone(t *testing.T) {
	t.Parallel()
	k, other := newKey(t, "prod"), newKey(t, "prod")
	from := Named{"mem:from", mem.New()}
	stored(t, []Named{from}, 0, 1000, k)
	e := list(t, []Named{from}, k.trust).Entries[0]
	changed := e.Manifest
	changed.LiveKeys++
	body := everything(t, from)[e.Sealed.Key]
	for name, c := range map[string]struct {
		manifest []byte
		payload  string
		want     error
	}{
		"another manifest, well signed":      {encode(t, changed, k.signer), body, ErrNotAuthentic},
		"the manifest, signed by a stranger": {encode(t, e.Manifest, other.signer), body, ErrNotAuthentic},
		"another payload without a manifest": {nil, strings.Repeat("x", len(body)), ErrDamaged},
		"a shorter payload":                  {nil, body[1:], ErrDamaged},
		"a committed backup, cut short":      {encode(t, e.Manifest, k.signer), body[1:], ErrDamaged},
	} {
		to := Named{"mem:to", mem.New()}
		put(t, to, e.Sealed.Key, []byte(c.payload))
		if c.manifest != nil {
			put(t, to, ManifestKey("prod", e.ID), c.manifest)
		}
		before := everything(t, to)
		if _, err := copier(t, k.trust, to, from).Copy(t.Context(), e); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		for key, text := range everything(t, to) {
			if before[key] != text {
				t.Errorf("%s: %s was written", name, key)
			}
		}
	}
}

func TestACopyGoesOnWhereAnotherStopped(t *testing.T) {
	t.Parallel()
	from := Named{"mem:from", mem.New()}
	stored(t, []Named{from}, 0, 1000, key{})
	e := list(t, []Named{from}, Trust{}).Entries[0]
	body := everything(t, from)[e.Sealed.Key]

	payloadThere := Named{"mem:payload", mem.New()} // stopped before the commit
	put(t, payloadThere, e.Sealed.Key, []byte(body))
	done, err := copier(t, Trust{}, payloadThere, from).Copy(t.Context(), e)
	if err != nil || done.From != "" || done.Already || len(list(t, []Named{payloadThere}, Trust{}).Entries) != 1 {
		t.Errorf("with the payload there: %+v, %v", done, err)
	}
	payloadGone := Named{"mem:gone", mem.New()} // a manifest whose payload somebody removed
	put(t, payloadGone, ManifestKey("prod", e.ID), encode(t, e.Manifest))
	done, err = copier(t, Trust{}, payloadGone, from).Copy(t.Context(), e)
	if err != nil || done.From != "mem:from" || done.Already || VerifyDigest(t.Context(), payloadGone, e.Manifest, nil) != nil {
		t.Errorf("with the payload gone: %+v, %v", done, err)
	}
}

func TestOnlyAuthenticNotesGoAlongAndFailingOnesStopTheCommit(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	from := Named{"mem:from", mem.New()}
	id := stored(t, []Named{from}, 0, 1000, k)
	e := list(t, []Named{from}, k.trust).Entries[0]
	hold := Mark{ID: id, Cluster: "prod", Mark: MarkHold, Time: day0()}
	if err := PutMark(t.Context(), from, hold, k.signer); err != nil {
		t.Fatal(err)
	}
	hold.Mark, hold.Time = MarkRelease, day0().Add(time.Hour) // by nobody we know
	if err := PutMark(t.Context(), from, hold); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no marks today")
	inner := mem.New()
	failing := Named{"mem:to", &faulty{Sink: inner, put: func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
		if strings.Contains(key, "/marks/") {
			return broken
		}
		return inner.Put(ctx, key, body, size)
	}}}
	if _, err := copier(t, k.trust, failing, from).Copy(t.Context(), e); !errors.Is(err, broken) || len(list(t, []Named{failing}, k.trust).Entries) > 0 {
		t.Errorf("without its hold it was copied: %v", err)
	}
	to := Named{"mem:to", inner}
	done, err := copier(t, k.trust, to, from).Copy(t.Context(), e)
	if err != nil || done.Notes != 1 || done.Ignored != 1 || !list(t, []Named{to}, k.trust).Entries[0].Held {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestWithAHoldThatCannotBeTrustedNothingComesToExist(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	for name, c := range map[string]struct {
		k    key
		data func(Mark) []byte
		want error
	}{
		"junk":                  {key{}, func(Mark) []byte { return []byte("junk\n") }, ErrDamaged},
		"empty":                 {key{}, func(Mark) []byte { return nil }, ErrDamaged},
		"without the signature": {k, func(m Mark) []byte { data, _ := EncodeMark(m); return data }, ErrNotAuthentic},
	} {
		a, b, to := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}, Named{"mem:to", mem.New()}
		id := stored(t, []Named{a, b}, 0, 1000, c.k)
		e := list(t, []Named{a, b}, c.k.trust).Entries[0]
		hold := Mark{ID: id, Cluster: "prod", Mark: MarkHold, Time: day0()}
		put(t, a, hold.key(), c.data(hold))
		if _, err := copier(t, c.k.trust, to, a, b).Copy(t.Context(), e); !errors.Is(err, c.want) || !strings.Contains(err.Error(), hold.key()) {
			t.Errorf("%s: %v", name, err)
		}
		if l := list(t, []Named{to}, c.k.trust); len(l.Entries) > 0 {
			t.Errorf("%s: it is there without its hold", name)
		}
		var signers []note.Signer
		if c.k.signer != nil {
			signers = append(signers, c.k.signer)
		}
		if err := PutMark(t.Context(), b, hold, signers...); err != nil { // a sound one elsewhere is enough
			t.Fatal(err)
		}
		done, err := copier(t, c.k.trust, to, a, b).Copy(t.Context(), e)
		if err != nil || len(done.Failed) != 1 || !list(t, []Named{to}, c.k.trust).Entries[0].Held {
			t.Errorf("%s, with a sound one elsewhere: %+v, %v", name, done, err)
		}
	}
}

func TestABackupRemovedWhileItIsCopiedDoesNotComeBack(t *testing.T) {
	t.Parallel()
	from, inner := Named{"mem:from", mem.New()}, mem.New()
	stored(t, []Named{from}, 0, 1000, key{})
	e := list(t, []Named{from}, Trust{}).Entries[0]
	to := Named{"mem:to", &faulty{Sink: inner, put: func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
		if err := Remove(ctx, from, e); err != nil {
			t.Error(err)
		}
		return inner.Put(ctx, key, body, size)
	}}}
	if _, err := copier(t, Trust{}, to, from).Copy(t.Context(), e); !errors.Is(err, ErrNotFound) {
		t.Errorf("copy says: %v", err)
	}
	if l := list(t, []Named{to}, Trust{}); len(l.Entries) > 0 {
		t.Errorf("it is back: %+v", l.Entries)
	}
}

func TestWhereMarksCannotBeReadNothingComesToExist(t *testing.T) {
	t.Parallel()
	a, b, to := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}, Named{"mem:to", mem.New()}
	id := stored(t, []Named{a, b}, 0, 1000, key{})
	e := list(t, []Named{a, b}, Trust{}).Entries[0]
	hold := Mark{ID: id, Cluster: "prod", Mark: MarkHold, Time: day0()}
	if err := PutMark(t.Context(), b, hold); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("down")
	down := Named{b.Name, &faulty{Sink: b.Sink, list: broken}}
	if _, err := copier(t, Trust{}, to, a, down).Copy(t.Context(), e); !errors.Is(err, broken) {
		t.Errorf("with a source whose marks are unknown: %v", err)
	}
	if l := list(t, []Named{to}, Trust{}); len(l.Entries) > 0 {
		t.Errorf("it is there without its hold: %+v", l.Entries)
	}
	done, err := copier(t, Trust{}, to, a, b).Copy(t.Context(), e)
	if err != nil || !list(t, []Named{to}, Trust{}).Entries[0].Held {
		t.Errorf("with both: %+v, %v", done, err)
	}
	// What is there already stays, and what is unknown is told.
	done, err = copier(t, Trust{}, to, a, down).Copy(t.Context(), e)
	if err != nil || !done.Already || len(done.Failed) != 3 {
		t.Errorf("again: %+v, %v", done, err)
	}
}
