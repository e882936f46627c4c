package crypto

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"filippo.io/age"
)

// maxHeader bounds age's header in bytes: as many recipients as a key file holds.
const maxHeader = 2 << 20

// A head keeps what is written to it until end: age writes the whole header before anything else.
type head struct {
	buf  bytes.Buffer
	done bool
}

func (h *head) Write(p []byte) (int, error) {
	if h.done {
		return len(p), nil
	}
	return h.buf.Write(p)
}

// end returns the digest of the header that has been written.
func (h *head) end() (string, error) {
	h.done = true
	header, err := age.ExtractHeader(&h.buf)
	return headerSHA256(header), err
}

func headerSHA256(header []byte) string {
	sum := sha256.Sum256(header)
	return hex.EncodeToString(sum[:])
}

// A Header is the beginning of a sealed file: who can open it is decided there.
type Header struct{ data []byte }

// ReadHeader reads the header of a sealed file, and as good as nothing of what follows. want is its digest as
// Seal.HeaderSHA256 tells it; "" where nobody knows it. Errors match ErrDamaged, or are what reading r returned.
func ReadHeader(r io.Reader, want string) (*Header, error) {
	src := &source{r: io.LimitReader(r, maxHeader)}
	data, err := age.ExtractHeader(src)
	if err != nil {
		return nil, src.explain(err)
	}
	if got := headerSHA256(data); want != "" && got != want {
		return nil, fmt.Errorf("%w: the header's sha256 is %s instead of %s", ErrDamaged, got, want)
	}
	return &Header{data}, nil
}

// Open finds the key of the file with the first identity that fits. Errors: *NoIdentityError or ErrDamaged. Where a plugin
// asks a person, it takes as long as that.
func (h *Header) Open(ids []age.Identity) (*FileKey, error) {
	t := newTrial(ids)
	key, err := age.DecryptHeader(h.data, t.ids...)
	if err != nil {
		return nil, t.explain(&source{}, err)
	}
	return &FileKey{key, t.by}, nil
}

// fits reports whether a key is the one of this header, which is authenticated with it.
func (h *Header) fits(key []byte) bool {
	_, err := age.DecryptHeader(h.data, age.NewInjectedFileKeyIdentity(key))
	return err == nil
}

// A FileKey opens one sealed file, and no other. Print none of it.
type FileKey struct {
	key []byte
	by  string
}

// String keeps the key out of logs.
func (k *FileKey) String() string { return "file key" }

// GoString does too.
func (k *FileKey) GoString() string { return k.String() }

// Fingerprint tells which recipient's identity gave the key; "" if it cannot tell.
func (k *FileKey) Fingerprint() string { return k.by }

// Open opens the sealed file as the function of this name does. A file of another key is ErrDamaged.
func (k *FileKey) Open(r io.Reader, limit int64) (*Opened, error) {
	o, err := open(&source{r: r}, []age.Identity{age.NewInjectedFileKeyIdentity(k.key)}, limit)
	if err != nil {
		return nil, err
	}
	o.by = k.by
	return o, nil
}
