package crypto

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
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

const (
	hashPart  = 1 << 20 // bytes
	hashAhead = 4       // parts
)

// hashBeside reads r to its end, and hashes in another goroutine what comes: opening a sealed file takes as long as hashing what is in it.
// Errors are those of r.
func hashBeside(r io.Reader) (Digest, error) {
	full, empty := make(chan []byte, hashAhead), make(chan []byte, hashAhead)
	for range hashAhead {
		empty <- make([]byte, hashPart)
	}
	sum := make(chan Digest, 1)
	go func() {
		d := newDigester()
		for part := range full {
			_, _ = d.Write(part) // a hash never fails
			empty <- part[:hashPart]
		}
		sum <- d.digest()
	}()
	var err error
	for err == nil {
		var n int
		part := <-empty
		n, err = r.Read(part)
		full <- part[:n]
	}
	close(full)
	d := <-sum
	if err == io.EOF {
		err = nil
	}
	return d, err
}
