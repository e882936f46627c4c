package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const (
	// pourPart and pourAhead bound the memory between reading the plain bytes and writing them.
	pourPart  = 1 << 20
	pourAhead = 4
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
// decompress, and writes, while this one hashes, which without the processor's help takes the longest. An error from src
// is returned as it is.
func pour(ctx context.Context, dst *os.File, src io.Reader, moved func(n int64)) (*poured, error) {
	full, empty := make(chan part, pourAhead), make(chan []byte, pourAhead)
	for range pourAhead {
		empty <- make([]byte, pourPart)
	}
	done := make(chan struct{})
	defer func() {
		close(done)
		for range full { // until the other one is done with src and dst
		}
	}()
	go transfer(dst, src, full, empty, done)
	t := &trailer{h: sha256.New()}
	out := &poured{}
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p := <-full
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

// transfer fills empty buffers from src, and writes them to dst, until src ends or nobody wants more.
func transfer(dst *os.File, src io.Reader, full chan<- part, empty <-chan []byte, done <-chan struct{}) {
	defer close(full)
	for off := int64(0); ; {
		var buf []byte
		select {
		case buf = <-empty:
		case <-done:
			return
		}
		n, err := fill(src, buf)
		if _, bad := dst.WriteAt(buf[:n], off); bad != nil {
			err = bad
		}
		startWriteback(dst, span{off, int64(n)})
		off += int64(n)
		select {
		case full <- part{buf[:n], err}:
		case <-done:
			return
		}
		if err != nil {
			return
		}
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
