package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const (
	// pourAhead is how many parts, as they are written, may wait between reading the plain bytes and writing them: 12 MiB.
	pourAhead = 96

	// pourStep is after how many bytes the disk is to begin with them. It has no use for small requests.
	pourStep = 1 << 20
)

// poured is what became of a stream of plain bytes.
type poured struct {
	size   int64
	sha256 string // hex, of everything
	whole  bool   // the last 32 bytes are the SHA-256 of all before them, as etcd ends a snapshot
}

// part is a piece of a stream, and the error that ended it.
type part struct {
	data []byte
	err  error
}

// pour writes src into dst, and hashes it on the way. One goroutine reads, which for a backup means to decrypt and to
// decompress, one writes, and this one hashes: each of them takes about as long. An error from src is returned as it is.
func pour(ctx context.Context, dst *os.File, src io.Reader, moved func(n int64)) (*poured, error) {
	empty, full, written := make(chan []byte, pourAhead), make(chan part, pourAhead), make(chan part, pourAhead)
	for range pourAhead {
		empty <- make([]byte, disk.WritePart)
	}
	done := make(chan struct{})
	defer func() {
		close(done)
		for range written { // until the others are done with src and dst
		}
	}()
	go draw(src, empty, full, done)
	go spill(dst, full, written)
	t := &trailer{h: sha256.New()}
	out := &poured{}
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p := <-written
		t.write(p.data)
		out.size += int64(len(p.data))
		moved(int64(len(p.data)))
		if p.err == io.EOF {
			break
		}
		if p.err != nil {
			return nil, p.err
		}
		empty <- p.data[:cap(p.data)]
	}
	out.sha256, out.whole = t.sums()
	return out, nil
}

// draw fills empty buffers from src until it ends, or nobody wants more. There are never more buffers than full has room for.
func draw(src io.Reader, empty <-chan []byte, full chan<- part, done <-chan struct{}) {
	defer close(full)
	for {
		var buf []byte
		select {
		case buf = <-empty:
		case <-done:
			return
		}
		n, err := fill(src, buf)
		full <- part{buf[:n], err}
		if err != nil {
			return
		}
	}
}

// spill writes what comes to dst, and passes it on. After a failure it only passes on.
func spill(dst *os.File, full <-chan part, written chan<- part) {
	defer close(written)
	var bad error
	begun, off := int64(0), int64(0)
	for p := range full {
		if bad == nil {
			_, bad = dst.WriteAt(p.data, off)
			off += int64(len(p.data))
		}
		if bad == nil && (off-begun >= pourStep || p.err != nil && off > begun) {
			bad = startWriteback(dst, span{begun, off - begun})
			begun = off
		}
		if bad != nil {
			p.err = bad
		}
		written <- p
	}
}

// fill reads until buf is full. Unlike io.ReadFull it tells the end of src from an error of src.
func fill(src io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = src.Read(buf[n:])
		n += m
	}
	return n, err
}

// A trailer hashes a stream, and keeps its last 32 bytes apart until more comes: they may be the hash of what is before them.
type trailer struct {
	h    hash.Hash
	last []byte
}

func (t *trailer) write(p []byte) {
	if len(p) >= sha256.Size {
		t.h.Write(t.last)
		t.h.Write(p[:len(p)-sha256.Size])
		t.last = append(t.last[:0], p[len(p)-sha256.Size:]...)
		return
	}
	t.last = append(t.last, p...)
	if over := len(t.last) - sha256.Size; over > 0 {
		t.h.Write(t.last[:over])
		t.last = append(t.last[:0], t.last[over:]...)
	}
}

// sums returns the hex SHA-256 of everything, and whether the last bytes are the SHA-256 of the rest.
func (t *trailer) sums() (all string, whole bool) {
	whole = bytes.Equal(t.h.Sum(nil), t.last)
	t.h.Write(t.last)
	return hex.EncodeToString(t.h.Sum(nil)), whole
}

// damaged is a fault of the backup, in words of its own.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", snapshot.ErrDamaged, fmt.Sprintf(format, args...))
}

// wish has room set aside for what is about to be written. More than a wish it is not: the plan has looked whether there is room, a file system
// that compresses may need less, and writing tells what is wrong.
func wish(f *os.File, s span) { _ = disk.Reserve(f, s.Off, s.Len) }

// startWriteback has a range begin to be written where the system can do that, so that the sync at the end finds little left to do. A failed write
// is an error already: not every file system tells it again.
func startWriteback(f *os.File, s span) error {
	err := disk.BeginWriting(f, s.Off, s.Len)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// readFully makes an unexpected end an error with that name.
func readFully(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
