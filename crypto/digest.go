package crypto

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
)

// A Digest identifies content.
type Digest struct {
	Size   int64
	SHA256 string // hex
}

func (d Digest) String() string {
	return fmt.Sprintf("%d bytes, sha256 %s", d.Size, d.SHA256)
}

// A digester computes a Digest of what is written to it.
type digester struct {
	hash hash.Hash // nil if somebody else hashes
	size int64
}

func newDigester() *digester { return &digester{hash: sha256.New()} }

func (d *digester) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	if d.hash == nil {
		return len(p), nil
	}
	return d.hash.Write(p)
}

func (d *digester) digest() Digest {
	if d.hash == nil {
		return Digest{Size: d.size}
	}
	return Digest{d.size, hex.EncodeToString(d.hash.Sum(nil))}
}
