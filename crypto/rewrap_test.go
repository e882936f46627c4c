package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"filippo.io/age"
)

func headerOf(t *testing.T, sealed []byte, s *Seal) *Header {
	t.Helper()
	h, err := ReadHeader(bytes.NewReader(sealed), s.HeaderSHA256)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestASidecarGivesAFileToALaterRecipient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to bool }{{true, true}, {false, false}, {true, false}} {
		a, b := newPair(t, c.from), newPair(t, c.to)
		sealed, s := seal(t, content(200_000), a.to)
		h := headerOf(t, sealed, s)
		key, err := h.Open([]age.Identity{b.id, a.id})
		if err != nil || key.Fingerprint() != a.to.Fingerprint() {
			t.Fatalf("key of %q: %v", key.Fingerprint(), err)
		}
		side, err := key.SealFor(b.to, "prod/1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Open([]age.Identity{b.id}); !errors.Is(err, ErrNoIdentity) {
			t.Errorf("the header opens for somebody else: %v", err)
		}
		later, err := h.OpenSidecar(side, "prod/1", []age.Identity{b.id})
		if err != nil || later.Fingerprint() != b.to.Fingerprint() {
			t.Fatalf("key of %q: %v", later.Fingerprint(), err)
		}
		o, err := later.Open(bytes.NewReader(sealed), 200_000)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := out.ReadFrom(o); err != nil || !bytes.Equal(out.Bytes(), content(200_000)) || o.Fingerprint() != b.to.Fingerprint() {
			t.Errorf("%d bytes, by %q: %v", out.Len(), o.Fingerprint(), err)
		}
		if _, err := h.OpenSidecar(side, "prod/1", []age.Identity{a.id}); !errors.Is(err, ErrNoIdentity) {
			t.Errorf("the sidecar opens for somebody else: %v", err)
		}
	}
}

func TestASidecarOfAnotherBackupIsRefused(t *testing.T) {
	t.Parallel()
	a, b := newPair(t, true), newPair(t, true)
	sealed, s := seal(t, content(10), a.to)
	h := headerOf(t, sealed, s)
	key, err := h.Open([]age.Identity{a.id})
	if err != nil {
		t.Fatal(err)
	}
	// Whoever knows the recipient can make one that opens: of another backup, or with a key of his own.
	moved, err := key.SealFor(b.to, "prod/2")
	if err != nil {
		t.Fatal(err)
	}
	forged, err := (&FileKey{key: bytes.Repeat([]byte{7}, 16)}).SealFor(b.to, "prod/1")
	if err != nil {
		t.Fatal(err)
	}
	newer := sealText(t, b.to, `{"format":2,"kind":"file-key","backup":"prod/1"}`)
	for name, data := range map[string][]byte{
		"moved": moved, "forged": forged, "newer": newer, "no json": sealText(t, b.to, "hello"), "garbage": []byte("garbage"), "long": make([]byte, maxSidecar+1),
	} {
		if _, err := h.OpenSidecar(data, "prod/1", []age.Identity{b.id}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatCannotBeASidecarIsToldWithoutTheIdentity(t *testing.T) {
	t.Parallel()
	for _, hybrid := range []bool{true, false} {
		a, b, other := newPair(t, hybrid), newPair(t, hybrid), newPair(t, !hybrid)
		sealed, s := seal(t, content(10), a.to)
		key, err := headerOf(t, sealed, s).Open([]age.Identity{a.id})
		if err != nil {
			t.Fatal(err)
		}
		good, err := key.SealFor(b.to, "prod/1")
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckSidecar(good, b.to, "prod/1"); err != nil {
			t.Errorf("a good one: %v", err)
		}
		elsewhere, err := key.SealFor(other.to, "prod/1")
		if err != nil {
			t.Fatal(err)
		}
		bad := map[string][]byte{
			"empty": nil, "garbage": []byte("garbage"), "long": make([]byte, maxSidecar+1), "sealed to another kind of recipient": elsewhere,
			"another text": sealText(t, b.to, "hello"), "a backup": sealed, "longer": append(bytes.Clone(good), 0),
		}
		for n := range len(good) {
			bad[fmt.Sprintf("cut to %d", n)] = good[:n]
		}
		for name, data := range bad {
			if err := CheckSidecar(data, b.to, "prod/1"); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func sealText(t *testing.T, to Recipient, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestEveryBitFlipInASidecarIsRefused(t *testing.T) {
	t.Parallel()
	a, b := newPair(t, true), newPair(t, true)
	sealed, s := seal(t, content(10), a.to)
	h := headerOf(t, sealed, s)
	key, err := h.Open([]age.Identity{a.id})
	if err != nil {
		t.Fatal(err)
	}
	side, err := key.SealFor(b.to, "prod/1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(side) * 8 {
		bad := bytes.Clone(side)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := h.OpenSidecar(bad, "prod/1", []age.Identity{b.id}); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoIdentity) {
			t.Errorf("bit %d of %d: %v", i, len(side)*8, err)
		}
	}
	for n := range side {
		if _, err := h.OpenSidecar(side[:n], "prod/1", []age.Identity{b.id}); err == nil {
			t.Errorf("cut to %d of %d bytes, it opens", n, len(side))
		}
	}
	t.Logf("%d flips, %d truncations", len(side)*8, len(side))
}

func TestTheDigestOfTheHeaderTellsDamageFromAnotherKey(t *testing.T) {
	t.Parallel()
	a := newPair(t, false)
	sealed, s := seal(t, content(10), a.to, newPair(t, false).to)
	length := len(sealed) - bytes.LastIndex(sealed, []byte("\n--- "))
	end := len(sealed) - length + 1 + bytes.IndexByte(sealed[len(sealed)-length+1:], '\n') + 1
	for _, i := range []int{0, 100, 1000, end - 2} {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := ReadHeader(bytes.NewReader(bad), s.HeaderSHA256); !errors.Is(err, ErrDamaged) {
			t.Errorf("flip at %d of %d: %v", i, end, err)
		}
	}
	if h, err := ReadHeader(bytes.NewReader(sealed[:end]), s.HeaderSHA256); err != nil || len(h.data) != end {
		t.Errorf("the header alone: %v", err)
	}
	if _, err := ReadHeader(bytes.NewReader(sealed[:end-1]), s.HeaderSHA256); !errors.Is(err, ErrDamaged) {
		t.Errorf("a cut header: %v", err)
	}
}

func TestPrintingAFileKeyShowsNoKey(t *testing.T) {
	t.Parallel()
	k := &FileKey{[]byte("0123456789abcdef"), "fp"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(format, k); strings.Contains(text, "0123") || strings.Contains(text, "30313233") {
			t.Errorf("%s shows %s", format, text)
		}
	}
}
