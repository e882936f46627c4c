package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// An identity file may be protected by a passphrase: then it is an age file itself, as `age -p` makes it, armored or not.
// Backups never are: whoever can guess offline gets through most passphrases, and a backup host would have to know it.

const (
	// maxWorkFactor bounds what a file can cost us: 2^20 take a gigabyte of memory and some seconds. age itself uses 18.
	maxWorkFactor = 20
	// maxPassphrase bounds a passphrase, in bytes.
	maxPassphrase = 4 << 10
)

// ErrPassphrase is matched by the error about a wrong passphrase.
var ErrPassphrase = errors.New("wrong passphrase")

// protected reports whether a key file is an age file itself.
func protected(data []byte) bool {
	return bytes.HasPrefix(data, []byte("age-encryption.org/")) || armored(data)
}

func armored(data []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(data), []byte(armor.Header)) }

// open gives back the identity file that a passphrase protects.
func (u Unlock) open(path string, data []byte) ([]byte, error) {
	if u.Passphrase == nil {
		return nil, &KeyError{
			File: path, Reason: "is protected by a passphrase, and nobody can be asked for it here",
			Hint: "run this on a terminal, or give a file that holds the passphrase (--identity-passphrase-file)",
		}
	}
	passphrase, err := u.Passphrase(path)
	if err != nil {
		return nil, err
	}
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, &KeyError{File: path, Reason: "is protected by a passphrase, and the one given is empty", Err: ErrPassphrase}
	}
	id.SetMaxWorkFactor(maxWorkFactor)
	var sealed io.Reader = bytes.NewReader(data)
	if armored(data) {
		sealed = armor.NewReader(sealed)
	}
	plain, err := age.Decrypt(sealed, id)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none) && !strings.Contains(strings.Join(none.StanzaTypes, " "), "scrypt"):
		return nil, &KeyError{
			File: path, Reason: "is an age file that no passphrase opens: it is sealed to a key",
			Hint: "open it first, into a file only you can read: age -d -i KEY " + path,
		}
	case errors.As(err, &none):
		return nil, &KeyError{File: path, Reason: "the passphrase is wrong", Err: ErrPassphrase}
	case err != nil:
		return nil, &KeyError{File: path, Reason: "is protected by a passphrase, and cannot be opened: " + err.Error(), Err: err}
	}
	text, err := io.ReadAll(io.LimitReader(plain, maxKeyFile+1))
	if err != nil || len(text) > maxKeyFile {
		return nil, &KeyError{File: path, Reason: "is protected by a passphrase, and damaged inside or too long", Err: err}
	}
	return text, nil
}

// ReadPassphrase reads a file that holds a passphrase and nothing else but, perhaps, the end of its one line. Errors are *KeyError.
func ReadPassphrase(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", unreadable(path, "a file that holds the passphrase", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err != nil {
		return "", unreadable(path, "a file that holds the passphrase", err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case len(data) > maxPassphrase:
		return "", &KeyError{File: path, Reason: fmt.Sprintf("longer than %d bytes, so not a passphrase", maxPassphrase)}
	case text == "":
		return "", &KeyError{File: path, Reason: "holds no passphrase"}
	case strings.ContainsRune(text, '\n'):
		return "", &KeyError{File: path, Reason: "holds more than one line, and a passphrase is one"}
	}
	return text, nil
}

// Protect makes of an identity file one that takes a passphrase, armored, as `age -p -a` does.
func Protect(identityFile []byte, passphrase string) ([]byte, error) {
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("protect identity: %w", err)
	}
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, to)
	if err != nil {
		return nil, fmt.Errorf("protect identity: %w", err)
	}
	_, err = w.Write(identityFile)
	if err := errors.Join(err, w.Close(), text.Close()); err != nil {
		return nil, fmt.Errorf("protect identity: %w", err)
	}
	return out.Bytes(), nil
}
