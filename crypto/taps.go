package crypto

import (
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
