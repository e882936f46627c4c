package crypto

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// The files under testdata were written by the first version of format 1. They are never written again: every later version
// has to open them. Their identities are for this test only.

// goldenContent is what is in the sealed files.
func goldenContent() []byte {
	var b bytes.Buffer
	for i := range 4096 {
		b.WriteByte(byte(i * i >> 4))
	}
	return append(b.Bytes(), strings.Repeat("lifeboat, format 1\n", 100)...)
}

func TestFilesOfFormat1OpenForEver(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"hybrid", "classic"} {
		ids, err := LoadIdentities("testdata/format1-" + name + ".identity.txt")
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open("testdata/format1-" + name + ".db.zst.age")
		if err != nil {
			t.Fatal(err)
		}
		got, o, err := openAll(f, ids, int64(len(goldenContent())))
		if err != nil || !bytes.Equal(got, goldenContent()) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
			continue
		}
		if r, _ := RecipientOf(ids[0]); o.Fingerprint() != r.Fingerprint() {
			t.Errorf("%s: opened by %s", name, o.Fingerprint())
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	f, err := os.Open("testdata/format1.db.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o, err := OpenPlain(f, int64(len(goldenContent())))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, goldenContent()) {
		t.Errorf("unencrypted: %d bytes, %v", len(got), err)
	}
}

func TestFilesOfFormat1OpenForNobodyElse(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/format1-hybrid.db.zst.age")
	if err != nil {
		t.Fatal(err)
	}
	for _, classic := range []bool{true, false} {
		if _, _, err := openAll(bytes.NewReader(data), identities(newPair(t, classic)), 1<<20); !errors.Is(err, ErrNoIdentity) {
			t.Errorf("got %v", err)
		}
	}
}
