package restore

import (
	"fmt"
	"iter"
)

// minGap is the shortest run of dead pages, in bytes, that becomes a hole.
const minGap = 64 << 10

// A layout tells which parts of a file hold nothing: dead pages, as byte ranges in order.
type layout struct {
	Size int64  `json:"size"`
	Gaps []span `json:"gaps"`
}

// A span is a range of bytes.
type span struct {
	Off int64 `json:"o"`
	Len int64 `json:"n"`
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

// bytes is how much the layout fills.
func (l layout) bytes() int64 {
	n := l.Size
	for _, g := range l.Gaps {
		n -= g.Len
	}
	return n
}

// cut divides a span at every multiple of n, so that spans that overlap are divided at the same places.
func (s span) cut(n int64) iter.Seq[span] {
	return func(yield func(span) bool) {
		for s.Len > 0 {
			first := min(s.Len, n-s.Off%n)
			if !yield(span{s.Off, first}) {
				return
			}
			s.Off, s.Len = s.Off+first, s.Len-first
		}
	}
}
