package crypto

import (
	"errors"
	"slices"

	"filippo.io/age"
)

// A tap is a recipient that sees the file key while a file is sealed and leaves no trace in the file.
type tap struct {
	hybrid bool
	key    []byte
}

// Wrap keeps the file key.
func (t *tap) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	t.key = slices.Clone(fileKey)
	return nil, nil
}

// WrapWithLabels is Wrap with the label that lets it stand beside hybrid recipients.
func (t *tap) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	s, err := t.Wrap(fileKey)
	if t.hybrid {
		return s, []string{"postquantum"}, err
	}
	return s, nil, err
}

// noting is a recipient that notes the types of its stanzas.
type noting struct {
	age.Recipient
	types *[]string
}

// WrapWithLabels wraps as the recipient itself does.
func (n *noting) WrapWithLabels(fileKey []byte) (s []*age.Stanza, labels []string, err error) {
	if l, ok := n.Recipient.(age.RecipientWithLabels); ok {
		s, labels, err = l.WrapWithLabels(fileKey)
	} else {
		s, err = n.Wrap(fileKey)
	}
	for _, st := range s {
		*n.types = append(*n.types, st.Type)
	}
	return s, labels, err
}

// watching is an identity that notes that it was the one that fitted.
type watching struct {
	age.Identity
	fingerprint string
	opened      *string
}

// Unwrap unwraps as the identity itself does, except that passphrases are refused: guessing at one can take for ever, and no
// backup is sealed so.
func (w *watching) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type == "scrypt" {
			return nil, age.ErrIncorrectIdentity
		}
	}
	key, err := w.Identity.Unwrap(stanzas)
	if err == nil {
		*w.opened = w.fingerprint
		return key, nil
	}
	if _, native := RecipientOf(w.Identity); !native && !errors.Is(err, age.ErrIncorrectIdentity) {
		err = &identityError{err} // a plugin's own trouble, say: nothing is damaged
	}
	return nil, err
}

// identityError is the failure of an identity that is neither X25519 nor hybrid, whose failures mean damage.
type identityError struct{ err error }

func (e *identityError) Error() string { return e.err.Error() }

// stranger is an identity that fits no file.
type stranger struct{}

// Unwrap always says so.
func (stranger) Unwrap([]*age.Stanza) ([]byte, error) { return nil, age.ErrIncorrectIdentity }
