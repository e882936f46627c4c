package crypto

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

func TestSigningKeysSignWhatTheirPublicHalfVerifies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	oldFile, oldPublic := newSigningKey(t, "prod")
	newFile, newPublic := newSigningKey(t, "prod")
	rotating, trusted, trustedNew := filepath.Join(dir, "signing"), filepath.Join(dir, "trusted"), filepath.Join(dir, "trusted-new")
	write(t, rotating, oldFile+newFile+oldFile)
	write(t, trusted, "# old\n"+oldPublic+"\r\n"+newPublic+"\n"+newPublic+"\n")
	write(t, trustedNew, newPublic)

	signers, err := LoadSigners(rotating)
	if err != nil || len(signers) != 2 {
		t.Fatalf("%d signers: %v", len(signers), err)
	}
	msg, err := note.Sign(&note.Note{Text: "text\n"}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	both, ids, err := LoadVerifiers(trusted, trustedNew)
	if err != nil || len(ids) != 2 || ids[0] != KeyID(signers[0]) {
		t.Fatalf("trusted %q: %v", ids, err)
	}
	if n, err := note.Open(msg, both); err != nil || len(n.Sigs) != 2 {
		t.Errorf("opened with both keys: %+v, %v", n, err)
	}
	one, _, err := LoadVerifiers(trustedNew)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := note.Open(msg, one); err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 1 {
		t.Errorf("opened with the new key: %+v, %v", n, err)
	}
}

func newSigningKey(t *testing.T, name string) (file, public string) {
	t.Helper()
	data, public, err := GenerateSigningKey(name, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), "# public key: "+public+"\nPRIVATE+KEY+"+name+"+") {
		t.Errorf("signing key file has another shape")
	}
	return string(data), public
}

func TestSigningKeysNeedAName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "two words", "a+b", "line\nbreak", strings.Repeat("x", 129), "é"} {
		if _, _, err := GenerateSigningKey(name, time.Now()); err == nil {
			t.Errorf("a signing key was made for the name %q", name)
		}
	}
}

func TestBadSigningKeyFilesAreToldApartWithoutEcho(t *testing.T) {
	t.Parallel()
	file, public := newSigningKey(t, "prod")
	private := strings.TrimSpace(file[strings.Index(file, "PRIVATE"):])
	secret := private[len(private)-20:]
	for name, c := range map[string]struct {
		text, reason, hint string
		line               int
		trusted            bool // of a file of trusted keys
	}{
		"empty":               {text: "#\n", reason: "holds no signing key", hint: "key new --signing"},
		"public as private":   {text: "# x\n" + public, line: 2, reason: "not a signing key", hint: "PRIVATE+KEY+"},
		"cut":                 {text: private[:len(private)-3], line: 1, reason: "malformed"},
		"empty trusted":       {text: "", reason: "holds no trusted key", hint: "name+hash+key", trusted: true},
		"private as public":   {text: private, line: 1, reason: "a secret key stands", hint: "public", trusted: true},
		"identity as trusted": {text: "AGE-SECRET-KEY-1" + secret, line: 1, reason: "a secret key stands", hint: "public", trusted: true},
		"cut trusted":         {text: public[:len(public)-3], line: 1, reason: "not a trusted key", hint: "one line", trusted: true},
		"renamed trusted":     {text: strings.Replace(public, "prod", "test", 1), line: 1, reason: "hash", hint: "one line", trusted: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "keys")
			write(t, path, c.text)
			var err error
			if c.trusted {
				_, _, err = LoadVerifiers(path)
			} else {
				_, err = LoadSigners(path)
			}
			wantKeyError(t, err, path, c.line, c.reason, c.hint)
			if strings.Contains(err.Error(), secret[:10]) {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}
