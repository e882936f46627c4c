package sinks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
)

// Checksummed is a sink whose store keeps a checksum of what it was given, and tells it without sending the object.
//
// It is the store's word for what arrived, and for what is under the key by now: an object that was damaged on its way, cut short, or
// replaced has another. That the bytes on its disks are still those, it does not say.
type Checksummed interface {
	// Checksum tells what the store holds under key. Errors are those of [Sink]; besides, one matches errors.ErrUnsupported where the object is
	// there and the store tells no checksum of it that [Checksum.New] could compute.
	Checksum(ctx context.Context, key string) (Checksum, error)
}

// ChecksumOf asks a sink, which need not be Checksummed: then the error matches errors.ErrUnsupported.
func ChecksumOf(ctx context.Context, s Sink, key string) (Checksum, error) {
	if c, ok := s.(Checksummed); ok {
		return c.Checksum(ctx, key)
	}
	return Checksum{}, &Error{Op: "checksum", Sink: fmt.Sprint(s), Key: key, Err: NoChecksum()}
}

// NoChecksum is why a store has none to tell.
func NoChecksum() error {
	return Because("the store tells no checksum of it", errors.ErrUnsupported)
}

// A ChecksumAlgorithm is how a checksum is computed.
type ChecksumAlgorithm string

// The algorithms that stores use.
const (
	SHA256    ChecksumAlgorithm = "sha256"
	CRC32     ChecksumAlgorithm = "crc32"
	CRC32C    ChecksumAlgorithm = "crc32c"
	CRC64NVME ChecksumAlgorithm = "crc64nvme"
)

// crc64NVME is the polynomial of CRC-64/NVME, bits reversed as hash/crc64 has it.
const crc64NVME = 0x9a6c9329ac4bc9b5

func (a ChecksumAlgorithm) hash() hash.Hash {
	switch a {
	case SHA256:
		return sha256.New()
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case CRC64NVME:
		return crc64.New(crc64.MakeTable(crc64NVME))
	}
	return nil
}

// A Checksum is what a store tells of an object.
type Checksum struct {
	Size      int64 // bytes
	Algorithm ChecksumAlgorithm
	// PartSize is 0 where Sum is of all bytes. Otherwise the store has, of an object that was put in parts of so many bytes each, the
	// checksum of the checksums of the parts, one after the other.
	PartSize int64
	Sum      []byte
}

// String names the kind, for people.
func (c Checksum) String() string {
	if c.PartSize > 0 {
		return string(c.Algorithm) + " of its parts"
	}
	return string(c.Algorithm)
}

// New makes what computes such a checksum of the bytes that are written to it; nil for an algorithm that is not known here.
func (c Checksum) New() hash.Hash {
	whole := c.Algorithm.hash()
	if whole == nil || c.PartSize <= 0 {
		return whole
	}
	return &ofParts{Hash: whole, part: c.Algorithm.hash(), left: c.PartSize, each: c.PartSize}
}

// Matches reports whether so many bytes with this sum are what the store holds.
func (c Checksum) Matches(size int64, sum []byte) bool {
	return c.Size == size && bytes.Equal(c.Sum, sum)
}

// ofParts is a checksum of the checksums of parts.
type ofParts struct {
	hash.Hash           // of the checksums of the parts that are complete
	part      hash.Hash // of the bytes of the part under way
	left      int64     // bytes that it lacks
	each      int64
}

// Write implements io.Writer; it never fails.
func (o *ofParts) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		n := int(min(int64(len(p)), o.left))
		_, _ = o.part.Write(p[:n]) // a hash never fails
		p, o.left = p[n:], o.left-int64(n)
		if o.left == 0 {
			_, _ = o.Hash.Write(o.part.Sum(nil))
			o.part.Reset()
			o.left = o.each
		}
	}
	return written, nil
}

// Sum implements hash.Hash, once: it ends the last part.
func (o *ofParts) Sum(b []byte) []byte {
	if o.left < o.each {
		_, _ = o.Hash.Write(o.part.Sum(nil))
		o.part.Reset()
		o.left = o.each
	}
	return o.Hash.Sum(b)
}
