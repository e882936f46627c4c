package crypto

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// A sidecar gives a backup to a recipient that came later: a small age file, sealed to that recipient alone, with the file key
// of the backup inside. The sealed file is not touched. Stock age opens the sidecar, but cannot be told a file key.

// maxSidecar bounds a sidecar in bytes; a hybrid one has two thousand.
const maxSidecar = 64 << 10

// sidecar is what is inside of one, a line of JSON. Which backup it is of stands inside, because sealed names cannot be moved.
type sidecar struct {
	Format  int    `json:"format"` // 1
	Kind    string `json:"kind"`   // "file-key"
	Backup  string `json:"backup"` // as SealFor was told
	FileKey []byte `json:"file_key"`
}

const (
	sidecarFormat = 1
	sidecarKind   = "file-key"
	// Of age's format, in bytes.
	fileKeySize, nonceSize, tagSize = 16, 16, 16
)

// SealFor makes the sidecar of a backup for a recipient. backup names the backup for ever: no two may share a name.
func (k *FileKey) SealFor(to Recipient, backup string) ([]byte, error) {
	text, err := json.Marshal(sidecar{sidecarFormat, sidecarKind, backup, k.key})
	if err != nil {
		return nil, fmt.Errorf("seal file key: %w", err)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to.key)
	if err == nil {
		_, err = w.Write(append(text, '\n'))
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("seal file key: %w", err)
	}
	return out.Bytes(), nil
}

// OpenSidecar finds the key of the file in a sidecar. The key is believed only once the header of the sealed file turns out to be
// authenticated with it: a sidecar is signed by nobody. Errors: *NoIdentityError if it is for somebody else, ErrDamaged if it is not
// a sidecar of this backup.
func (h *Header) OpenSidecar(data []byte, backup string, ids []age.Identity) (*FileKey, error) {
	if len(data) > maxSidecar {
		return nil, fmt.Errorf("%w: the sidecar is longer than %d bytes", ErrDamaged, maxSidecar)
	}
	src, t := &source{r: bytes.NewReader(data)}, newTrial(ids)
	plain, err := age.Decrypt(src, t.ids...)
	if err != nil {
		return nil, t.explain(src, err)
	}
	text, err := io.ReadAll(plain)
	var s sidecar
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: sidecar: %w", ErrDamaged, err)
	case s.Format != sidecarFormat || s.Kind != sidecarKind:
		return nil, fmt.Errorf("%w: the sidecar is of format %d, kind %.40q, which this version does not know", ErrDamaged, s.Format, s.Kind)
	case s.Backup != backup:
		return nil, fmt.Errorf("%w: the sidecar is of %.120q instead of %s", ErrDamaged, s.Backup, backup)
	case !h.fits(s.FileKey):
		return nil, fmt.Errorf("%w: the key in the sidecar does not open the backup", ErrDamaged)
	}
	return &FileKey{s.FileKey, t.by}, nil
}

// CheckSidecar looks whether data can be a sidecar of a backup for a recipient, as far as anybody can tell who has not the recipient's identity: by
// its length, and by what it is sealed to. Nil proves nothing: only the identity tells whose key is inside. Errors match ErrDamaged.
func CheckSidecar(data []byte, to Recipient, backup string) error {
	if len(data) > maxSidecar {
		return fmt.Errorf("%w: longer than %d bytes, which no sidecar is", ErrDamaged, maxSidecar)
	}
	header, err := age.ExtractHeader(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("%w: not an age file: %w", ErrDamaged, err)
	}
	want := "X25519"
	if to.PostQuantum() {
		want = "mlkem768x25519"
	}
	_, err = age.DecryptHeader(header, stranger{})
	var none *age.NoIdentityMatchError
	switch {
	case !errors.As(err, &none):
		return fmt.Errorf("%w: not the header of an age file: %w", ErrDamaged, err)
	case len(none.StanzaTypes) != 1 || none.StanzaTypes[0] != want:
		return fmt.Errorf("%w: sealed to %.120q instead of one %s recipient", ErrDamaged, none.StanzaTypes, want)
	}
	text, err := json.Marshal(sidecar{sidecarFormat, sidecarKind, backup, make([]byte, fileKeySize)})
	if err != nil {
		return fmt.Errorf("check sidecar: %w", err)
	}
	// After the header come a nonce, one chunk with the line of text, and its tag.
	if got, want := len(data)-len(header), nonceSize+len(text)+1+tagSize; got != want {
		return fmt.Errorf("%w: %d bytes follow its header instead of %d", ErrDamaged, got, want)
	}
	return nil
}
