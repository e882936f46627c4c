package crypto

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest zstd window accepted, in bytes: what every decoder must support (RFC 8878), and the bound of our memory.
const maxWindow = 8 << 20

// oneFrame passes on exactly one zstd frame with a checksum, and fails on anything else. A zstd decoder by itself takes no
// frame at all, several frames, and skippable ones with anything inside, for an intact stream.
type oneFrame struct {
	r    *bufio.Reader
	left int // bytes of the current part still to pass on
	part int
	done bool // the frame came whole, and nothing after it
}

// The parts of a frame.
const (
	frameHeader = iota
	frameBlocks
	frameChecksum
	frameEnd
)

func (f *oneFrame) Read(p []byte) (int, error) {
	for f.left == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n, err := f.r.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, truncated(err)
}

// next finds the length of the next part, or io.EOF after the last.
func (f *oneFrame) next() error {
	switch f.part {
	case frameHeader:
		start, err := f.r.Peek(zstd.HeaderMaxSize)
		if err != nil && err != io.EOF { // a small frame is shorter
			return err
		}
		var h zstd.Header
		if err := h.Decode(start); err != nil {
			return fmt.Errorf("zstd frame header: %w", err)
		}
		if h.Skippable || !h.HasCheckSum || h.DictionaryID != 0 || (!h.SingleSegment && h.WindowSize > maxWindow) {
			return errors.New("zstd frame header: not of a frame that a backup holds")
		}
		f.left, f.part = h.HeaderSize, frameBlocks
	case frameBlocks:
		b, err := f.r.Peek(3)
		if err != nil {
			return truncated(err)
		}
		header := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		last, kind, size := header&1 == 1, header>>1&3, header>>3
		switch kind {
		case 1: // one byte, repeated
			size = 1
		case 3:
			return errors.New("zstd block: reserved kind")
		}
		f.left = 3 + size
		if last {
			f.part = frameChecksum
		}
	case frameChecksum:
		f.left, f.part = 4, frameEnd
	case frameEnd:
		_, err := f.r.ReadByte()
		if err == nil {
			return errors.New("data after the end of the zstd frame")
		}
		f.done = err == io.EOF
		return err
	}
	return nil
}

// truncated makes of an end of file inside something an error.
func truncated(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
