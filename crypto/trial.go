package crypto

import (
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// A NoIdentityError tells that the file is sealed to other recipients than the identities given. Some damage to the header looks
// the same: compare a digest first. It matches ErrNoIdentity, and every trouble.
type NoIdentityError struct {
	Stanzas    []string // what the file can be opened with, by age's stanza types: X25519, mlkem768x25519, …
	Tried      []string // fingerprints of the identities given, "" for one that cannot tell
	Recipients []string // fingerprints of those it is sealed to, where they are known: also by sidecars
	Troubles   []error  // *PluginError: identities that may fit, and could not be used
}

func (e *NoIdentityError) Error() string {
	to := strings.Join(e.Stanzas, ", ")
	if len(e.Recipients) > 0 {
		to = strings.Join(e.Recipients, ", ") + " (" + to + ")"
	}
	text := "no identity given: the file is sealed to " + to
	if len(e.Tried) > 0 {
		var tried []string
		for _, fp := range e.Tried {
			if fp == "" {
				fp = "one of a plugin"
			}
			tried = append(tried, fp)
		}
		text = fmt.Sprintf("none of %d identities (%s) opens the file: it is sealed to %s", len(e.Tried), strings.Join(tried, ", "), to)
	}
	for _, t := range e.Troubles {
		text += "; " + t.Error()
	}
	return text
}

// Is makes the error match ErrNoIdentity.
func (e *NoIdentityError) Is(target error) bool { return target == ErrNoIdentity }

func (e *NoIdentityError) Unwrap() []error { return e.Troubles }

// A PluginError is the trouble of an age plugin, which says nothing about the file it was to open.
type PluginError struct {
	Name string // of the plugin: its program is age-plugin-NAME
	Err  error
}

func (e *PluginError) Error() string {
	if e.missing() {
		return "the program age-plugin-" + e.Name + " is not there"
	}
	return e.Err.Error() // begins with the plugin's name
}

func (e *PluginError) Unwrap() error { return e.Err }

func (e *PluginError) missing() bool {
	var none *plugin.NotFoundError
	return errors.As(e.Err, &none)
}

// Hint tells what to do about it.
func (e *PluginError) Hint() string {
	if e.missing() {
		return "install age-plugin-" + e.Name + " into a folder of PATH, or give another identity: a plugin's identity is of no use without its program"
	}
	return "a plugin that asks or wants its device touched needs a terminal and the device here; AGEDEBUG=plugin shows what it says"
}

// A trial is one attempt to open a header with some identities.
type trial struct {
	ids      []age.Identity
	by       string   // fingerprint of the one that fitted
	tried    []string // fingerprints
	troubles []error
}

func newTrial(ids []age.Identity) *trial {
	t := &trial{}
	for _, id := range ids {
		w := &watching{Identity: id, in: t}
		if r, ok := RecipientOf(id); ok {
			w.fingerprint = r.Fingerprint()
		}
		t.tried = append(t.tried, w.fingerprint)
		t.ids = append(t.ids, w)
	}
	// One that never fits makes age list what the file wants even if no identity is given.
	t.ids = append(t.ids, &watching{Identity: stranger{}, in: t})
	return t
}

// explain says of age's error whether it is the identities' fault or the file's.
func (t *trial) explain(src *source, err error) error {
	var none *age.NoIdentityMatchError
	if src.err == nil && errors.As(err, &none) {
		return &NoIdentityError{Stanzas: none.StanzaTypes, Tried: t.tried, Troubles: t.troubles}
	}
	return src.explain(err)
}

// watching is an identity that notes that it was the one that fitted.
type watching struct {
	age.Identity
	fingerprint string
	in          *trial
}

// Unwrap unwraps as the identity itself does, except that passphrases are refused: guessing at one can take for ever, and no
// backup is sealed so. A plugin's trouble is kept, and does not keep the next identity from being tried.
func (w *watching) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type == "scrypt" {
			return nil, age.ErrIncorrectIdentity
		}
	}
	key, err := w.Identity.Unwrap(stanzas)
	if err == nil {
		w.in.by = w.fingerprint
		return key, nil
	}
	if _, native := RecipientOf(w.Identity); !native && !errors.Is(err, age.ErrIncorrectIdentity) {
		trouble := &PluginError{Err: err} // nothing is damaged
		if p, ok := w.Identity.(*plugin.Identity); ok {
			trouble.Name = p.Name()
		}
		w.in.troubles = append(w.in.troubles, trouble)
		return nil, age.ErrIncorrectIdentity
	}
	return nil, err
}

// stranger is an identity that fits no file.
type stranger struct{}

// Unwrap always says so.
func (stranger) Unwrap([]*age.Stanza) ([]byte, error) { return nil, age.ErrIncorrectIdentity }
