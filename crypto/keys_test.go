package crypto

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"github.com/google/go-cmp/cmp"
)

// A pair is a key pair for a test.
type pair struct {
	file string // of the identity
	id   age.Identity
	to   Recipient
}

func newPair(t testing.TB, classic bool) pair {
	t.Helper()
	text, recipient, err := GenerateIdentity(classic, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "identity.txt")
	write(t, file, string(text))
	ids, err := LoadIdentities(file)
	if err != nil {
		t.Fatal(err)
	}
	to, err := ParseRecipients(strings.NewReader(recipient), "generated")
	if err != nil {
		t.Fatal(err)
	}
	return pair{file, ids[0], to[0]}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestGeneratedIdentityIsAFileForStockAge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 14, 50, 0, 0, time.UTC)
	for _, classic := range []bool{false, true} {
		text, recipient, err := GenerateIdentity(classic, now)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) != 4 || lines[0] != "# created: 2026-11-20T14:50:00Z" || lines[1] != "# public key: "+recipient || lines[3] != "" {
			t.Errorf("classic %v: identity file has another shape: %q", classic, lines[:2])
		}
		if hybrid := strings.HasPrefix(recipient, "age1pq1"); hybrid == classic {
			t.Errorf("classic %v gave recipient %.12s", classic, recipient)
		}
		ids, err := age.ParseIdentities(strings.NewReader(string(text)))
		if err != nil || len(ids) != 1 {
			t.Fatalf("age reads %d identities: %v", len(ids), err)
		}
		if r, ok := RecipientOf(ids[0]); !ok || r.String() != recipient {
			t.Error("the identity's recipient is not the one that was told")
		}
	}
}

func TestRecipientsFileAsOfAge(t *testing.T) {
	t.Parallel()
	a, b := newPair(t, true), newPair(t, true)
	text := "\ufeff# the team's keys\r\n\r\n" + a.to.String() + "\r\n  # indented\n" + b.to.String() + "  \n" + a.to.String()
	got, err := ParseRecipients(strings.NewReader(text), "recipients.txt")
	if err != nil {
		t.Fatal(err)
	}
	var prints []string
	for _, r := range got {
		prints = append(prints, r.Fingerprint())
	}
	if diff := cmp.Diff([]string{a.to.Fingerprint(), b.to.Fingerprint()}, prints); diff != "" {
		t.Error(diff)
	}
	if len(prints[0]) != 16 || prints[0] == prints[1] {
		t.Errorf("fingerprints %q", prints)
	}
}

func TestBadRecipientsNameFileAndLine(t *testing.T) {
	t.Parallel()
	classic, hybrid := newPair(t, true), newPair(t, false)
	secret := secretOf(t, classic)
	x, pq := classic.to.String(), hybrid.to.String()
	for name, c := range map[string]struct {
		text         string
		line         int
		reason, hint string
	}{
		"empty":               {"", 0, "holds no recipient", "one public key"},
		"comments only":       {"# none yet\n\n", 0, "holds no recipient", "one public key"},
		"hybrid then classic": {"# x\n" + pq + "\n" + x + "\n", 3, "classic recipient cannot stand beside the hybrid one of line 2", "quantum"},
		"classic then hybrid": {x + "\n" + pq + "\n", 2, "hybrid recipient cannot stand beside the classic one of line 1", "quantum"},
		"secret key":          {x + "\n" + secret + "\n", 2, "a secret key stands in a recipients file", "public key"},
		"secret key, lower":   {strings.ToLower(secret), 1, "a secret key stands in a recipients file", "public key"},
		"secret beside":       {x + " " + secret, 1, "a secret key stands in a recipients file", "public key"},
		"one letter wrong":    {x[:20] + flipLetter(x[20]) + x[21:], 1, "is malformed", "copy it again"},
		"cut hybrid":          {"\n" + pq[:1000], 2, "recipient age1pq1", "copy it again"},
		"plugin":              {plugin.EncodeRecipient("yubikey", []byte("a point")), 1, "of the age plugin yubikey", "native recipient"},
		"tagged":              {plugin.EncodeRecipient("tag", []byte("a point")), 1, "of the age plugin tag", "native recipient"},
		"plugin, malformed":   {"age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3q", 1, "is malformed", ""},
		"ssh":                 {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE not-echoed", 1, "not a recipient", "SSH"},
		"not text":            {"\xff\xfe\x00", 0, "is not text", ""},
		"too long":            {strings.Repeat("#", maxKeyFile+1), 0, "longer than", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseRecipients(strings.NewReader(c.text), "r.txt")
			wantKeyError(t, err, "r.txt", c.line, c.reason, c.hint)
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret[20:30]) || strings.Contains(err.Error(), "echoed") {
				t.Errorf("the error tells what may be secret: %v", err)
			}
			if len(err.Error()) > 300 {
				t.Errorf("the error is %d characters long", len(err.Error()))
			}
		})
	}
}

func TestMissingKeyFilesAreKeyErrors(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	_, e1 := LoadRecipients(missing)
	_, e2 := LoadIdentities(missing)
	_, e3 := LoadSigners(missing)
	_, _, e4 := LoadVerifiers(missing)
	_, e5 := Exposed(missing)
	for _, err := range []error{e1, e2, e3, e4, e5} {
		wantKeyError(t, err, missing, 0, "no such file", "")
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v does not match fs.ErrNotExist", err)
		}
	}
	_, err := LoadIdentities(t.TempDir())
	wantKeyError(t, err, "", 0, "is a directory", "")
}

func TestIdentityFilesOfSeveralKeys(t *testing.T) {
	t.Parallel()
	a, b := newPair(t, true), newPair(t, false)
	both := filepath.Join(t.TempDir(), "both.txt")
	write(t, both, secretOf(t, a)+"\n# and\n"+secretOf(t, b)+"\n")
	ids, err := LoadIdentities(both, a.file, b.file)
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 2 {
		t.Errorf("%d identities, want each of the two once", len(ids))
	}
	if ids, err := LoadIdentities(); err != nil || len(ids) != 0 {
		t.Errorf("no files gave %v, %v", ids, err)
	}
}

func TestBadIdentityFilesAreToldApartWithoutEcho(t *testing.T) {
	t.Parallel()
	classic, hybrid := newPair(t, true), newPair(t, false)
	x, pq := secretOf(t, classic), secretOf(t, hybrid)
	for name, c := range map[string]struct {
		text         string
		line         int
		reason, hint string
	}{
		"empty":                  {"# nothing\n", 0, "holds no identity", "AGE-SECRET-KEY-"},
		"recipients file":        {"# mine\n" + classic.to.String(), 2, "this is a recipients file", "secret key"},
		"hybrid recipients file": {hybrid.to.String(), 1, "this is a recipients file", "secret key"},
		"protected":              {"age-encryption.org/v1\n-> scrypt x 18\n", 0, "protected by a passphrase", "passphrase-file"},
		"protected, armored":     {"-----BEGIN AGE ENCRYPTED FILE-----\n", 0, "protected by a passphrase", "passphrase-file"},
		"bad plugin identity":    {"AGE-PLUGIN-YUBIKEY-1QQPQQ", 1, "the plugin's identity is malformed", ""},
		"wrong letter":           {x[:30] + flipLetter(x[30]) + x[31:], 1, "malformed", ""},
		"cut hybrid":             {"\n\n" + pq[:50], 3, "the hybrid identity is malformed", ""},
		"signing key":            {"PRIVATE+KEY+prod+00000000+secretsecret", 1, "holds a signing key", "identity"},
		"ssh":                    {"-----BEGIN OPENSSH PRIVATE KEY-----\nsecretsecret", 1, "not an identity", "SSH"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "id.txt")
			write(t, file, c.text)
			_, err := LoadIdentities(file)
			wantKeyError(t, err, file, c.line, c.reason, c.hint)
			for _, secret := range []string{x[20:28], pq[22:30], "secretsecret"} {
				if strings.Contains(strings.ToUpper(err.Error()), strings.ToUpper(secret)) {
					t.Errorf("the error tells the secret: %v", err)
				}
			}
		})
	}
}

func TestIdentityFilesOthersCanReadAreToldOf(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	for mode, want := range map[fs.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o700: false} {
		if err := os.Chmod(p.file, mode); err != nil {
			t.Fatal(err)
		}
		if got, err := Exposed(p.file); got != want || err != nil {
			t.Errorf("mode %o: exposed %v, %v", mode, got, err)
		}
	}
	for mode, want := range map[fs.FileMode]bool{0o440: false, 0o640: false, 0o444: true, 0o644: true} { // of another owner, as a Secret's volume has them
		if got := exposed(mode, false); got != want {
			t.Errorf("mode %o of another owner: exposed %v", mode, got)
		}
	}
}

func secretOf(t testing.TB, p pair) string {
	t.Helper()
	s, ok := p.id.(fmt.Stringer)
	if !ok {
		t.Fatalf("%T has no text", p.id)
	}
	return s.String()
}

// flipLetter gives another character of the same alphabet (Bech32).
func flipLetter(c byte) string {
	if c == 'q' || c == 'Q' {
		return string(c - 'q' + 'p')
	}
	if c < 'a' && c > '9' {
		return "Q"
	}
	return "q"
}

func wantKeyError(t *testing.T, err error, file string, line int, reason, hint string) {
	t.Helper()
	var ke *KeyError
	if !errors.As(err, &ke) {
		t.Fatalf("got %v, want a *KeyError", err)
	}
	if file != "" && ke.File != file || ke.Line != line || !strings.Contains(ke.Reason, reason) || !strings.Contains(ke.Hint, hint) {
		t.Errorf("got %q line %d: %q, hint %q\nwant %q line %d: %q, hint %q", ke.File, ke.Line, ke.Reason, ke.Hint, file, line, reason, hint)
	}
	if !strings.Contains(err.Error(), ke.File) || line > 0 && !strings.Contains(err.Error(), fmt.Sprintf("line %d", line)) {
		t.Errorf("%q does not name file and line", err)
	}
}

func identities(pairs ...pair) (ids []age.Identity) {
	for _, p := range pairs {
		ids = append(ids, p.id)
	}
	return ids
}
