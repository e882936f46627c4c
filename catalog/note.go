package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// Manifests, marks and reports are C2SP signed notes whose text is one line of JSON. Unsigned ones are that line and nothing else.

// maxNote bounds a note in bytes, signatures included.
const maxNote = 64 << 10

// Trust says whose signatures count. The zero Trust trusts no key, and so takes any note, telling who claims to have signed it.
type Trust struct {
	Verifiers      note.Verifiers // trusted keys; nil if there are none
	AcceptUnsigned bool           // take unsigned notes in spite of trusted keys: from before signing was turned on
}

// Signature says what is known of who signed a note.
type Signature struct {
	Signed  bool     `json:"signed"`
	By      []string `json:"by"`      // name+hash of the keys; if trusted, of the trusted ones only
	Trusted bool     `json:"trusted"` // one at least was made by a trusted key, and is right
}

// encodeNote makes a note of a value; without signers it is unsigned.
func encodeNote(v any, signers []note.Signer) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text) // ends the line, too
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	data := text.Bytes()
	if len(signers) > 0 {
		var err error
		if data, err = note.Sign(&note.Note{Text: text.String()}, signers...); err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
	}
	if len(data) > maxNote {
		return nil, fmt.Errorf("%d bytes, which is more than the %d a note may have", len(data), maxNote)
	}
	return data, nil
}

// errUnsigned is what speaks against a note without any signature where a key is trusted.
var errUnsigned = fmt.Errorf("%w: it is not signed, and there are trusted keys", ErrNotAuthentic)

// Unsigned reports whether the only thing wrong with a backup's manifest is that nobody signed it, so that Trust.AcceptUnsigned opens it. One that was
// written over a signed one is no such case.
func Unsigned(p *Problem) bool {
	return p.ID != "" && errors.Is(p.Err, errUnsigned) && !errors.Is(p.Err, ErrOverwritten)
}

// openNote returns the text of a note, its newline included, once the signature is as the trust demands.
// Errors match ErrNotAuthentic; where no key is trusted, ErrDamaged.
func openNote(data []byte, t Trust) (text []byte, sig Signature, err error) {
	bad := ErrDamaged
	if t.Verifiers != nil {
		bad = ErrNotAuthentic
	}
	end := bytes.IndexByte(data, '\n') + 1
	switch {
	case len(data) > maxNote:
		return nil, sig, fmt.Errorf("%w: longer than %d bytes", bad, maxNote)
	case end == 0:
		return nil, sig, fmt.Errorf("%w: the end is missing", bad)
	case end == len(data) && t.Verifiers != nil && !t.AcceptUnsigned:
		return nil, sig, errUnsigned
	case end == len(data):
		return data, sig, nil
	}
	n, err := note.Open(data, t.Verifiers)
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified) && t.Verifiers != nil:
		by := brief(fmt.Sprintf("%q", keyIDs(unverified.Note.UnverifiedSigs)))
		return nil, sig, fmt.Errorf("%w: signed by %s, none of which is a trusted key", ErrNotAuthentic, by)
	case errors.As(err, &unverified):
		n = unverified.Note
		sig = Signature{Signed: true, By: keyIDs(n.UnverifiedSigs)}
	case err != nil:
		return nil, sig, fmt.Errorf("%w: %s", bad, brief(err.Error())) // which may hold on to the whole note
	default:
		sig = Signature{Signed: true, By: keyIDs(n.Sigs), Trusted: true}
	}
	if n.Text != string(data[:end]) {
		return nil, sig, fmt.Errorf("%w: the text is more than one line", bad)
	}
	return data[:end], sig, nil
}

func keyIDs(sigs []note.Signature) (ids []string) {
	for _, s := range sigs {
		ids = append(ids, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
	}
	return ids
}

// TextSHA256 returns the SHA-256, in hex, of a note's text: its first line with the newline (head -1 FILE | sha256sum). Chains go by
// it and not by the note's bytes, because signatures can be added and base64 has several spellings.
func TextSHA256(data []byte) string {
	sum := sha256.Sum256(data[:bytes.IndexByte(data, '\n')+1])
	return hex.EncodeToString(sum[:])
}
