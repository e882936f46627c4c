// Package crypto holds what keeps a backup secret and tells where it comes from: the keys, the sealed file (zstd inside an
// ordinary age file) in both directions, and the keys of signed notes.
//
// It refuses to seal to no one, to mix hybrid with classic recipients, to open what is damaged at any layer, and to print any
// part of a secret key. It never falls back from a bad key to a weaker one or to none.
package crypto

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// maxKeyFile bounds key files in bytes: some 500 hybrid recipients.
const maxKeyFile = 1 << 20

// KeyError says what is wrong with a file of keys: configuration to be corrected, exit code 2. It never holds key material.
type KeyError struct {
	File   string
	Line   int // 0 when it concerns the whole file
	Reason string
	Hint   string // what to do about it, may be empty
	Err    error  // the cause, for errors.Is; may be nil
}

func (e *KeyError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s line %d: %s", e.File, e.Line, e.Reason)
	}
	return fmt.Sprintf("%s: %s", e.File, e.Reason)
}

func (e *KeyError) Unwrap() error { return e.Err }

// A Recipient is a public key that backups are sealed to.
type Recipient struct {
	key  age.Recipient
	text string
}

// String returns the recipient as it stands in a recipients file. It must not get into the bucket: whoever knows it can make
// files that open.
func (r Recipient) String() string { return r.text }

// Fingerprint returns the first 16 hex digits of the SHA-256 of the recipient's text: enough to tell keys apart, of no use for
// sealing to them.
func (r Recipient) Fingerprint() string {
	sum := sha256.Sum256([]byte(r.text))
	return hex.EncodeToString(sum[:8])
}

// PostQuantum reports whether the recipient is a hybrid one.
func (r Recipient) PostQuantum() bool {
	_, ok := r.key.(*age.HybridRecipient)
	return ok
}

// LoadRecipients reads a recipients file as ParseRecipients does. Errors are *KeyError.
func LoadRecipients(path string) ([]Recipient, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, "a recipients file, such as the FILE.pub of `lifeboat key new FILE`,", err)
	}
	defer f.Close()
	return ParseRecipients(f, path)
}

// ParseRecipients reads recipients in the format of age's -R: one a line, empty lines and lines beginning with # ignored.
// A recipient that stands there twice is returned once. No recipient at all, a bad line, a secret key and a mixture of hybrid
// and classic recipients are each a *KeyError with name as its File.
func ParseRecipients(r io.Reader, name string) ([]Recipient, error) {
	data, err := readKeyFile(r, name)
	if err != nil {
		return nil, err
	}
	lines, err := keyLines(data, name)
	if err != nil {
		return nil, err
	}
	var all []Recipient
	first := make(map[bool]int) // by PostQuantum, the line of the first of its sort
	seen := make(map[string]bool)
	for _, l := range lines {
		rec, err := parseRecipient(name, l)
		if err != nil {
			return nil, err
		}
		if other, mixed := first[!rec.PostQuantum()]; mixed {
			return nil, &KeyError{
				File: name, Line: l.number,
				Reason: fmt.Sprintf("a %s recipient cannot stand beside the %s one of line %d", rec.sort(), all[0].sort(), other),
				Hint: "one classic recipient would make every file readable to a future quantum computer: use recipients of one sort " +
					"(age1pq1… are hybrid, other age1… are classic)",
			}
		}
		if first[rec.PostQuantum()] == 0 {
			first[rec.PostQuantum()] = l.number
		}
		if !seen[rec.text] {
			seen[rec.text] = true
			all = append(all, rec)
		}
	}
	if len(all) == 0 {
		return nil, &KeyError{File: name, Reason: "holds no recipient", Hint: "put one public key (age1…) on each line"}
	}
	return all, nil
}

func (r Recipient) sort() string {
	if r.PostQuantum() {
		return "hybrid"
	}
	return "classic"
}

func parseRecipient(file string, l keyLine) (Recipient, error) {
	bad := &KeyError{File: file, Line: l.number}
	switch {
	case holdsSecret(l.text):
		bad.Reason = "a secret key stands in a recipients file"
		bad.Hint = "recipients are public keys (age1…): take the one from the identity file's \"# public key:\" line, and keep the secret key elsewhere"
		return Recipient{}, bad
	case strings.HasPrefix(l.text, "age1pq1"):
		key, err := age.ParseHybridRecipient(l.text)
		if err != nil {
			bad.Reason, bad.Hint = badRecipient(l.text, err)
			return Recipient{}, bad
		}
		return Recipient{key, key.String()}, nil
	case pluginOf(l.text) != "":
		bad.Reason = "a recipient of the age plugin " + pluginOf(l.text) + ": backups are sealed without plugins"
		bad.Hint = "a host that makes backups should depend on no other program: give a native recipient (age1pq1… or age1…, as `lifeboat key new` makes); " +
			"plugins that protect the identity of one are taken where backups are opened"
		return Recipient{}, bad
	case strings.HasPrefix(l.text, "age1"):
		key, err := age.ParseX25519Recipient(l.text)
		if err != nil {
			bad.Reason, bad.Hint = badRecipient(l.text, err)
			return Recipient{}, bad
		}
		return Recipient{key, key.String()}, nil
	}
	// Not echoed: nobody knows what it is, so it may be secret.
	bad.Reason = "not a recipient"
	bad.Hint = "a recipient begins with age1 or age1pq1; SSH keys and passphrases are not supported"
	return Recipient{}, bad
}

// pluginOf names the plugin that a recipient is made by, "" if it is native or malformed.
func pluginOf(recipient string) string {
	name, _, err := plugin.ParseRecipient(recipient)
	if err != nil {
		return ""
	}
	return name
}

// badRecipient words age's error without the key itself, which may be 1,959 characters long.
func badRecipient(text string, err error) (reason, hint string) {
	cause := err.Error()
	if i := strings.LastIndex(cause, `": `); i >= 0 {
		cause = cause[i+3:]
	}
	begin := text[:min(len(text), 12)]
	return fmt.Sprintf("recipient %s… is malformed: %s", begin, cause), "copy it again, whole: hybrid recipients are 1,959 characters long"
}

// holdsSecret reports whether a line holds, or might hold, secret key material anywhere.
func holdsSecret(line string) bool {
	up := strings.ToUpper(line)
	return strings.Contains(up, "AGE-SECRET-KEY") || strings.Contains(up, "AGE-PLUGIN-") || strings.Contains(up, "PRIVATE+KEY") ||
		strings.Contains(up, "PRIVATE KEY")
}

// A keyLine is a line of a key file that is neither empty nor a comment.
type keyLine struct {
	number int
	text   string
}

// readKeyFile reads a key file as it is.
func readKeyFile(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	if err != nil {
		return nil, unreadable(name, "a file of keys", err)
	}
	if len(data) > maxKeyFile {
		return nil, &KeyError{File: name, Reason: fmt.Sprintf("longer than %d bytes, so not a file of keys", maxKeyFile)}
	}
	return data, nil
}

// keyLines splits a key file into its lines without comments. It forgives what editors add: a byte order mark, carriage
// returns, blanks at the ends.
func keyLines(data []byte, name string) ([]keyLine, error) {
	if protected(data) {
		return nil, &KeyError{
			File: name, Reason: "is an age file itself, and only identities may be protected by a passphrase",
			Hint: "decrypt it into a file only you can read, for example on a RAM disk: age -d " + name,
		}
	}
	if !utf8.Valid(data) {
		return nil, &KeyError{File: name, Reason: "is not text, so not a file of keys"}
	}
	var lines []keyLine
	text := strings.TrimPrefix(string(data), "\ufeff")
	for i, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		if l != "" && !strings.HasPrefix(l, "#") {
			lines = append(lines, keyLine{i + 1, l})
		}
	}
	return lines, nil
}

// unreadable is a file that cannot be read; what it should be stands in the hint, because the error may name no more than the path.
func unreadable(path, what string, err error) *KeyError {
	cause := err
	var pe *os.PathError
	if errors.As(err, &pe) {
		cause = pe.Err // the path is told already
	}
	return &KeyError{File: path, Reason: cause.Error(), Hint: "give the path of " + what + " that is there and can be read", Err: err}
}
