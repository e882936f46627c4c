package crypto

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// GenerateIdentity makes a key pair: hybrid post-quantum, or X25519 if classic is asked for. identityFile is the text of an
// identity file as age-keygen writes it, to be kept secret; recipient is the public half.
func GenerateIdentity(classic bool, now time.Time) (identityFile []byte, recipient string, err error) {
	var secret string
	if classic {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			return nil, "", fmt.Errorf("generate identity: %w", err)
		}
		secret, recipient = id.String(), id.Recipient().String()
	} else {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			return nil, "", fmt.Errorf("generate identity: %w", err)
		}
		secret, recipient = id.String(), id.Recipient().String()
	}
	text := fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", now.Format(time.RFC3339), recipient, secret)
	return []byte(text), recipient, nil
}

// An Unlock says how to get at identities that are not simply there: the zero Unlock asks nobody.
type Unlock struct {
	// Passphrase is asked for the passphrase of an identity file that is protected by one; nil if nobody can tell it.
	Passphrase func(file string) (string, error)
	// Plugins is how plugins talk to a person; nil lets them fail where they need one.
	Plugins *plugin.ClientUI
}

// LoadIdentities is Unlock.Load where there is nobody to ask.
func LoadIdentities(paths ...string) ([]age.Identity, error) { return Unlock{}.Load(paths...) }

// Load reads the secret keys of every file, in order and each once: X25519, hybrid, and those of age plugins, whose program is
// run only once a file is to be opened. Files protected by a passphrase are opened with it. A missing file, one without a key,
// a recipients file and a passphrase that nobody tells are each a *KeyError; a wrong one is that, too, and matches
// ErrPassphrase.
func (u Unlock) Load(paths ...string) ([]age.Identity, error) {
	var all []age.Identity
	seen := make(map[string]bool)
	for _, path := range paths {
		ids, err := u.load(path)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if text := fmt.Sprint(id); !seen[text] { // all that parseIdentity gives print themselves
				seen[text] = true
				all = append(all, id)
			}
		}
	}
	return all, nil
}

func (u Unlock) load(path string) ([]age.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, "an identity file, such as the FILE of `lifeboat key new FILE`,", err)
	}
	defer f.Close()
	data, err := readKeyFile(f, path)
	if err != nil {
		return nil, err
	}
	if protected(data) {
		if data, err = u.open(path, data); err != nil {
			return nil, err
		}
	}
	lines, err := keyLines(data, path)
	if err != nil {
		return nil, err
	}
	var ids []age.Identity
	for _, l := range lines {
		id, err := parseIdentity(path, l, u.Plugins)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, &KeyError{File: path, Reason: "holds no identity", Hint: "an identity is a line beginning with AGE-SECRET-KEY-"}
	}
	return ids, nil
}

// parseIdentity never lets any of the line into its error.
func parseIdentity(path string, l keyLine, ui *plugin.ClientUI) (age.Identity, error) {
	bad := &KeyError{File: path, Line: l.number}
	switch {
	case strings.HasPrefix(l.text, "AGE-SECRET-KEY-PQ-1"):
		if id, err := age.ParseHybridIdentity(l.text); err == nil {
			return id, nil
		}
		bad.Reason = "the hybrid identity is malformed: a character is missing or wrong"
	case strings.HasPrefix(l.text, "AGE-SECRET-KEY-1"):
		if id, err := age.ParseX25519Identity(l.text); err == nil {
			return id, nil
		}
		bad.Reason = "the identity is malformed: a character is missing or wrong"
	case strings.HasPrefix(l.text, "age1"):
		bad.Reason = "holds a public key: this is a recipients file, not an identity file"
		bad.Hint = "opening a backup takes the secret key (AGE-SECRET-KEY-…) that was made together with that public key"
	case strings.HasPrefix(strings.ToUpper(l.text), "AGE-PLUGIN-"):
		if ui == nil {
			ui = &plugin.ClientUI{}
		}
		if id, err := plugin.NewIdentity(l.text, ui); err == nil {
			return id, nil
		}
		bad.Reason = "the plugin's identity is malformed: a character is missing or wrong"
	case strings.HasPrefix(l.text, "PRIVATE+KEY+"):
		bad.Reason = "holds a signing key, not an identity"
		bad.Hint = "signing keys tell where a backup comes from; opening it takes an identity (AGE-SECRET-KEY-…)"
	default:
		bad.Reason = "not an identity"
		bad.Hint = "an identity begins with AGE-SECRET-KEY- or AGE-PLUGIN-; SSH keys are not supported"
	}
	return nil, bad
}

// RecipientOf returns the public half of an identity; ok is false for identities that cannot tell theirs.
func RecipientOf(id age.Identity) (r Recipient, ok bool) {
	switch id := id.(type) {
	case *age.X25519Identity:
		return Recipient{id.Recipient(), id.Recipient().String()}, true
	case *age.HybridIdentity:
		return Recipient{id.Recipient(), id.Recipient().String()}, true
	}
	return Recipient{}, false
}

// Exposed reports whether a file of secret keys can be read by others than its owner: something to warn about. That a group can
// read a file of somebody else's is how it was given to us, as Kubernetes gives the Secrets of a volume to a process that is not root.
func Exposed(path string) (bool, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return false, unreadable(path, "an identity file, such as the FILE of `lifeboat key new FILE`,", err)
	}
	owner, ok := fi.Sys().(*syscall.Stat_t)
	return exposed(fi.Mode(), !ok || int(owner.Uid) == os.Geteuid()), nil
}

func exposed(mode fs.FileMode, own bool) bool {
	return mode.Perm()&0o004 != 0 || own && mode.Perm()&0o040 != 0
}
