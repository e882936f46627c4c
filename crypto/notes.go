package crypto

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// The keys of signed notes (C2SP signed-note, Ed25519) are kept in the encoding of golang.org/x/mod/sumdb/note, one a line,
// with empty lines and lines beginning with # ignored: PRIVATE+KEY+name+hash+key in a signing key file, name+hash+key in a
// file of trusted keys. The 8 hex digits of the hash tell keys of one name apart, so a key is rotated under the same name.

// GenerateSigningKey makes a key pair for signing notes. keyFile is the text of a signing key file, to be kept secret; public is the
// line for a file of trusted keys. The name says who signs (a cluster, a team); it has no blanks and no plus.
func GenerateSigningKey(name string, now time.Time) (keyFile []byte, public string, err error) {
	if name == "" || len(name) > 128 || strings.ContainsFunc(name, notInName) {
		return nil, "", fmt.Errorf("name of signing key %q: must be 1 to 128 printable ASCII characters without blanks or plus", name)
	}
	private, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return nil, "", fmt.Errorf("generate signing key: %w", err)
	}
	text := fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", now.Format(time.RFC3339), public, private)
	return []byte(text), public, nil
}

func notInName(r rune) bool { return r <= ' ' || r == '+' || r > '~' }

// LoadSigners reads a signing key file: one key, or several while keys are being rotated (each signs). Errors are *KeyError.
func LoadSigners(path string) ([]note.Signer, error) {
	var signers []note.Signer
	seen := make(map[string]bool)
	err := loadNoteKeys(path, func(bad *KeyError, text string) error {
		if !strings.HasPrefix(text, "PRIVATE+KEY+") {
			bad.Reason = "not a signing key"
			bad.Hint = "a signing key begins with PRIVATE+KEY+; make one with: lifeboat key new --signing"
			return bad
		}
		s, err := note.NewSigner(text)
		if err != nil { // not the library's wording, which calls it a verifier
			bad.Reason = "the signing key is malformed: a character is missing or wrong"
			return bad
		}
		if id := KeyID(s); !seen[id] {
			seen[id] = true
			signers = append(signers, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(signers) == 0 {
		return nil, &KeyError{File: path, Reason: "holds no signing key", Hint: "make one with: lifeboat key new --signing"}
	}
	return signers, nil
}

// LoadVerifiers reads files of trusted public keys. ids names each key as KeyID does, in order. Errors are *KeyError.
func LoadVerifiers(paths ...string) (trusted note.Verifiers, ids []string, err error) {
	var list []note.Verifier
	seen := make(map[string]bool)
	for _, path := range paths {
		err := loadNoteKeys(path, func(bad *KeyError, text string) error {
			if holdsSecret(text) {
				bad.Reason = "a secret key stands in a file of trusted keys"
				bad.Hint = "trusted keys are public: take the one from the signing key file's \"# public key:\" line, and keep the secret key elsewhere"
				return bad
			}
			v, err := note.NewVerifier(text)
			if err != nil {
				bad.Reason = "not a trusted key: " + err.Error()
				bad.Hint = "a trusted key reads name+hash+key, all on one line"
				return bad
			}
			// The same key twice would make it ambiguous, and so useless.
			if !seen[text] {
				seen[text] = true
				list = append(list, v)
				ids = append(ids, KeyID(v))
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		if len(list) == 0 {
			return nil, nil, &KeyError{File: path, Reason: "holds no trusted key", Hint: "put one public key (name+hash+key) on each line"}
		}
	}
	return note.VerifierList(list...), ids, nil
}

// KeyID names the key of a note.Signer or note.Verifier as notes do: name+hash.
func KeyID(k interface {
	Name() string
	KeyHash() uint32
},
) string {
	return fmt.Sprintf("%s+%08x", k.Name(), k.KeyHash())
}

func loadNoteKeys(path string, add func(bad *KeyError, text string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return unreadable(path, "a file of signing or trusted keys, such as the FILE and FILE.pub of `lifeboat key new --signing FILE`,", err)
	}
	defer f.Close()
	data, err := readKeyFile(f, path)
	if err != nil {
		return err
	}
	lines, err := keyLines(data, path)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if err := add(&KeyError{File: path, Line: l.number}, l.text); err != nil {
			return err
		}
	}
	return nil
}
