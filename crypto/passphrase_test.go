package crypto

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
)

// told is an Unlock that knows a passphrase, and counts how often it is asked.
func told(passphrase string, asked *int) Unlock {
	return Unlock{Passphrase: func(string) (string, error) {
		*asked++
		return passphrase, nil
	}}
}

func TestProtectedIdentityFilesOpenWithTheirPassphrase(t *testing.T) {
	t.Parallel()
	p := newPair(t, false)
	text, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	armored, err := Protect(text, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	binary := protectedBy(t, text, "correct horse")
	for name, data := range map[string][]byte{"armored": armored, "after blank lines": append([]byte("\n\n"), armored...), "binary": binary} {
		file := filepath.Join(t.TempDir(), "safe.key")
		write(t, file, string(data))
		var asked int
		ids, err := told("correct horse", &asked).Load(file)
		if err != nil || len(ids) != 1 || asked != 1 {
			t.Fatalf("%s: %d identities, asked %d times: %v", name, len(ids), asked, err)
		}
		if r, _ := RecipientOf(ids[0]); r.Fingerprint() != p.to.Fingerprint() {
			t.Errorf("%s: another identity came out", name)
		}
		_, err = told("wrong horse", &asked).Load(file)
		wantKeyError(t, err, file, 0, "the passphrase is wrong", "")
		if !errors.Is(err, ErrPassphrase) {
			t.Errorf("%s: %v does not match ErrPassphrase", name, err)
		}
		_, err = told("", &asked).Load(file)
		wantKeyError(t, err, file, 0, "the one given is empty", "")
	}
	var asked int
	if _, err := told("x", &asked).Load(p.file); err != nil || asked != 0 {
		t.Errorf("an unprotected file: asked %d times, %v", asked, err)
	}
}

// protectedBy is what `age -p` makes, with a low work factor.
func protectedBy(t *testing.T, text []byte, passphrase string) []byte {
	t.Helper()
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(10)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestProtectedFilesThatMustNotBeTriedAreRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	good := protectedBy(t, []byte(secretOf(t, p)), "x")
	sealed, _ := seal(t, content(10), p.to)
	for name, c := range map[string]struct {
		data   []byte
		reason string
	}{
		"too much work":  {bytes.Replace(good, []byte(" 10\n"), []byte(" 21\n"), 1), "work factor too large"},
		"sealed to keys": {sealed, "is an age file that no passphrase opens"},
		"cut":            {good[:len(good)-5], "damaged inside"},
		"no identity":    {protectedBy(t, []byte("# nothing\n"), "x"), "holds no identity"},
		"twice":          {protectedBy(t, good, "x"), "is an age file itself"},
	} {
		file := filepath.Join(t.TempDir(), "id.txt")
		write(t, file, string(c.data))
		var asked int
		_, err := told("x", &asked).Load(file)
		if bad := new(KeyError); !errors.As(err, &bad) || !strings.Contains(bad.Reason, c.reason) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestPassphraseFilesHoldOneLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want, reason string }{
		"line":         {"correct horse \n", "correct horse ", ""},
		"windows line": {"correct\r\n", "correct", ""},
		"no end":       {"correct", "correct", ""},
		"empty":        {"\n", "", "holds no passphrase"},
		"two lines":    {"one\ntwo\n", "", "more than one line"},
		"too long":     {strings.Repeat("x", maxPassphrase+1), "", "longer than"},
	} {
		file := filepath.Join(t.TempDir(), "passphrase")
		write(t, file, c.text)
		got, err := ReadPassphrase(file)
		if got != c.want || (err == nil) != (c.reason == "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if c.reason != "" {
			wantKeyError(t, err, file, 0, c.reason, "")
		}
	}
	_, err := ReadPassphrase(filepath.Join(t.TempDir(), "absent"))
	wantKeyError(t, err, "", 0, "no such file", "")
}
