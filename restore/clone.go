package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
)

const (
	// copyStep is how many bytes are copied or compared between two looks at the context.
	copyStep = 8 << 20

	// minGap is the shortest run of dead pages, in bytes, that becomes a hole.
	minGap = 64 << 10
)

// filled is what a layout leaves when its gaps are taken out.
func (l layout) filled() []span {
	var all []span
	at := int64(0)
	for _, g := range l.Gaps {
		if g.Off > at {
			all = append(all, span{at, g.Off - at})
		}
		at = g.Off + g.Len
	}
	if at < l.Size {
		all = append(all, span{at, l.Size - at})
	}
	return all
}

// valid refuses a layout that the editing process, which has read an untrusted file, should never have told.
func (l layout) valid() error {
	at := int64(0)
	for _, g := range l.Gaps {
		if g.Off < at || g.Len <= 0 || g.Len > l.Size-g.Off {
			return fmt.Errorf("the editing process tells of a gap at %d+%d in %d bytes", g.Off, g.Len, l.Size)
		}
		at = g.Off + g.Len
	}
	return nil
}

// bytes is how much the layout fills.
func (l layout) bytes() int64 {
	n := l.Size
	for _, g := range l.Gaps {
		n -= g.Len
	}
	return n
}

// steps calls do for every part of the filled spans, at most copyStep long, until ctx ends.
func (l layout) steps(ctx context.Context, do func(s span) error) error {
	for _, s := range l.filled() {
		for s.Len > 0 {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			n := min(s.Len, copyStep)
			if err := do(span{s.Off, n}); err != nil {
				return err
			}
			s.Off, s.Len = s.Off+n, s.Len-n
		}
	}
	return nil
}

// clone makes dst hold what src holds outside the gaps, and has the disk begin to write it.
func clone(ctx context.Context, dst, src *os.File, l layout, moved func(n int64)) error {
	if err := dst.Truncate(l.Size); err != nil {
		return err
	}
	for _, s := range l.filled() {
		wish(dst, s)
	}
	return l.steps(ctx, func(s span) error {
		if err := copyRange(dst, src, s); err != nil {
			return err
		}
		if err := startWriteback(dst, s); err != nil {
			return err
		}
		moved(s.Len)
		return nil
	})
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

// equalise makes sure that dst holds what src holds outside the gaps, byte by byte: src has been edited since dst was begun
// to be cloned from it, which changed a few pages, some perhaps while they were copied. Whatever differs is written again, and read again.
func equalise(ctx context.Context, dst, src *os.File, l layout, moved func(n int64)) error {
	if err := dst.Truncate(l.Size); err != nil {
		return err
	}
	const part = 1 << 20
	a, b := make([]byte, part), make([]byte, part)
	return l.steps(ctx, func(s span) error {
		for off := s.Off; off < s.Off+s.Len; off += part {
			n := min(part, s.Off+s.Len-off)
			if err := equalPart(dst, src, a[:n], b[:n], off); err != nil {
				return err
			}
		}
		moved(s.Len)
		return nil
	})
}

func equalPart(dst, src *os.File, a, b []byte, off int64) error {
	if _, err := src.ReadAt(a, off); err != nil {
		return readFully(err)
	}
	if _, err := dst.ReadAt(b, off); err != nil {
		return readFully(err)
	}
	if bytes.Equal(a, b) {
		return nil
	}
	if _, err := dst.WriteAt(a, off); err != nil {
		return err
	}
	if _, err := dst.ReadAt(b, off); err != nil {
		return readFully(err)
	}
	if !bytes.Equal(a, b) {
		return fmt.Errorf("%s does not hold what was just written to it, at byte %d: the disk or the memory of this machine is faulty", dst.Name(), off)
	}
	return nil
}

// readFully makes an unexpected end an error with that name.
func readFully(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func copyThroughMemory(dst, src *os.File, s span) error {
	_, err := io.Copy(io.NewOffsetWriter(dst, s.Off), io.NewSectionReader(src, s.Off, s.Len))
	return err
}
