package crypto

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
)

// The sealed file is one zstd frame inside an ordinary age file, so that `age -d -i key FILE | zstd -d` gives back the plain
// file. Unencrypted, it is the zstd frame alone.

// Compression is the name of the compression inside every sealed file.
const Compression = "zstd"

var (
	// ErrDamaged is matched by every error that tells that bytes are not those that were sealed. Reading errors of the
	// underlying reader never match it.
	ErrDamaged = errors.New("damaged")
	// ErrNoIdentity is matched by *NoIdentityError.
	ErrNoIdentity = errors.New("no identity opens it")
)

// HashedElsewhere is content for SealTo whose SHA-256 somebody else computes: Seal.Plain then tells the size only, and the caller has to
// complete it before Verify, which compares with it. Hashing is a third of the work of sealing.
type HashedElsewhere struct{ io.Reader }

// A Seal tells what a sealed file holds, and can prove without any private key that a copy of it still does.
type Seal struct {
	Plain, Sealed Digest
	Compression   string
	Stanzas       []string // age's stanza types in order; none if unencrypted
	Fingerprints  []string // of the recipients in order; none if unencrypted
	HeaderSHA256  string   // of age's header, in hex: tells whether a header is whole without the rest; "" if unencrypted

	tap *tap // nil if unencrypted; a pointer, so that printing a Seal prints no key
}

// SealTo compresses and encrypts src into dst for every recipient. Memory is bounded whatever the size. After an error dst holds
// a file that cannot be opened. No recipient is an error, never a reason to leave out the encryption.
// The Seal keeps the file key until Forget.
func SealTo(dst io.Writer, src io.Reader, to []Recipient) (*Seal, error) {
	if len(to) == 0 {
		return nil, errors.New("seal: no recipient")
	}
	sealed := newDigester()
	s := &Seal{Compression: Compression, tap: &tap{hybrid: to[0].PostQuantum()}}
	var wrap []age.Recipient
	for _, r := range to {
		wrap = append(wrap, &noting{r.key, &s.Stanzas})
		s.Fingerprints = append(s.Fingerprints, r.Fingerprint())
	}
	var begin head
	out := bufio.NewWriterSize(io.MultiWriter(dst, sealed), disk.WritePart)
	w, err := age.Encrypt(io.MultiWriter(&begin, out), append(wrap, s.tap)...)
	if err == nil {
		s.HeaderSHA256, err = begin.end()
	}
	if err != nil {
		s.Forget()
		return nil, fmt.Errorf("seal: %w", err)
	}
	if s.Plain, err = compress(w, src); err != nil {
		s.Forget()
		return nil, fmt.Errorf("seal: %w", err)
	}
	if err = w.Close(); err == nil {
		err = out.Flush()
	}
	if err != nil {
		s.Forget()
		return nil, fmt.Errorf("seal: %w", err)
	}
	s.Sealed = sealed.digest()
	return s, nil
}

// SealPlain compresses src into dst without encrypting it: only for users who said that they want that.
func SealPlain(dst io.Writer, src io.Reader) (*Seal, error) {
	sealed := newDigester()
	out := bufio.NewWriterSize(io.MultiWriter(dst, sealed), disk.WritePart)
	plain, err := compress(out, src)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return &Seal{Plain: plain, Sealed: sealed.digest(), Compression: Compression}, nil
}

// compress writes src into dst as one zstd frame. After an error nothing writes to dst any more, and the frame is unfinished.
func compress(dst io.Writer, src io.Reader) (Digest, error) {
	// Level 1 is as small as 3 on this kind of data, and faster. One goroutine keeps up with etcd; several take a quarter more of the
	// processor, which etcd may need itself.
	z, err := zstd.NewWriter(dst, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(4<<20), zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true))
	if err != nil {
		return Digest{}, err
	}
	plain := newDigester()
	if _, elsewhere := src.(HashedElsewhere); elsewhere {
		plain.hash = nil
	}
	if _, err := z.ReadFrom(io.TeeReader(src, plain)); err != nil {
		z.Reset(nil) // waits for what is still being written, and does not finish the frame
		return Digest{}, err
	}
	if err := z.Close(); err != nil {
		return Digest{}, err
	}
	return plain.digest(), nil
}

// Verify reads a copy of the sealed file and compares every byte of it with what was sealed: the digest of the whole, then what
// it decrypts and decompresses to. It needs no private key. An error matches ErrDamaged unless reading itself failed.
// It may be called from several goroutines at once, but not after Forget.
func (s *Seal) Verify(r io.Reader) error {
	sealed := newDigester()
	src := &source{r: io.TeeReader(io.LimitReader(r, s.Sealed.Size+1), sealed)} // one byte more tells that there is too much
	var o *Opened
	var err error
	if s.tap == nil {
		o, err = openPlain(src, s.Plain.Size)
	} else {
		if s.tap.key == nil {
			return errors.New("verify: the file key was forgotten")
		}
		o, err = open(src, []age.Identity{age.NewInjectedFileKeyIdentity(s.tap.key)}, s.Plain.Size)
	}
	if err != nil {
		return err
	}
	o.HashElsewhere()
	plain, err := hashBeside(o)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, src); err != nil { // nothing is left, unless a layer stopped early
		return src.explain(err)
	}
	if got := sealed.digest(); got != s.Sealed {
		return fmt.Errorf("%w: the sealed file differs: %s, want %s", ErrDamaged, got, s.Sealed)
	}
	if plain != s.Plain {
		return fmt.Errorf("%w: the content differs: %s, want %s", ErrDamaged, plain, s.Plain)
	}
	return nil
}

// Forget wipes the file key; Verify is over then. It may be called more than once.
func (s *Seal) Forget() {
	if s.tap != nil {
		clear(s.tap.key)
		s.tap.key = nil
	}
}

// Opened is the plain content of a sealed file. What it hands out before io.EOF may come from a file that turns out to be
// damaged further on: keep it aside until io.EOF.
type Opened struct {
	src   *source
	plain *digester
	frame *oneFrame
	zr    *zstd.Decoder
	limit int64
	by    string
	err   error
}

// Open opens a sealed file with the first identity that fits. More than limit bytes of plain content count as damage, so that a
// small file cannot fill the disk. Errors: *NoIdentityError, ErrDamaged (also from Read), or what reading r returned.
// Memory is bounded to some 20 MB; nothing needs closing.
func Open(r io.Reader, ids []age.Identity, limit int64) (*Opened, error) {
	return open(&source{r: r}, ids, limit)
}

// OpenPlain opens a sealed file that was not encrypted, as Open does.
func OpenPlain(r io.Reader, limit int64) (*Opened, error) {
	return openPlain(&source{r: r}, limit)
}

func open(src *source, ids []age.Identity, limit int64) (*Opened, error) {
	t := newTrial(ids)
	content, err := age.Decrypt(src, t.ids...)
	if err != nil {
		return nil, t.explain(src, err)
	}
	o, err := decompress(src, content, limit)
	if err != nil {
		return nil, err
	}
	o.by = t.by
	return o, nil
}

func openPlain(src *source, limit int64) (*Opened, error) { return decompress(src, src, limit) }

func decompress(src *source, content io.Reader, limit int64) (*Opened, error) {
	frame := &oneFrame{r: bufio.NewReaderSize(content, 64<<10)}
	// Concurrency 1 means: no goroutines that would need an end.
	zr, err := zstd.NewReader(frame, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, src.explain(err)
	}
	return &Opened{src: src, plain: newDigester(), frame: frame, zr: zr, limit: limit}, nil
}

// Read reads plain content. Every error but io.EOF is final, and matches ErrDamaged unless reading the sealed file failed.
func (o *Opened) Read(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.zr.Read(p)
	if o.plain.size+int64(n) > o.limit {
		o.err = fmt.Errorf("%w: the content is longer than %d bytes", ErrDamaged, o.limit)
		return 0, o.err
	}
	_, _ = o.plain.Write(p[:n]) // a hash never fails
	if err == nil {
		return n, nil
	}
	// The decoder takes a stream that breaks off before it began for an empty one.
	if o.err = err; err != io.EOF || !o.frame.done {
		o.err = o.src.explain(truncated(err))
	}
	return n, o.err
}

// Plain returns size and digest of what was read so far: of the whole content after io.EOF.
func (o *Opened) Plain() Digest { return o.plain.digest() }

// HashElsewhere is for a caller who hashes what he reads himself: Plain then tells the size only. Where the processor has no
// instructions for SHA-256, it is the slowest part of opening a file.
func (o *Opened) HashElsewhere() { o.plain.hash = nil }

// Fingerprint tells which recipient's identity opened the file; "" if unencrypted or if the identity cannot tell.
func (o *Opened) Fingerprint() string { return o.by }

// A source remembers how reading failed, so that a broken connection is not taken for a broken file.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// explain says of an error of some layer above whether it is damage.
func (s *source) explain(err error) error {
	if s.err != nil {
		return fmt.Errorf("read sealed file: %w", s.err)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}
