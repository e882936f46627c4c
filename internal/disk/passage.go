package disk

import (
	"errors"
	"os"
)

// A Passage has what was written to files go to the disk and leave the page cache, where the file system heeds that, in the order in which it is told of
// it: so a large file takes no memory from others. It is no fsync, which must follow, and must not be believed after an error: this one is told
// once. Where the system cannot do it, nothing is done. It is for one goroutine.
type Passage struct {
	Ahead int64 // how many bytes may be under way, so that the disk always has something to do

	under       []underWay // the oldest first
	bytes       int64
	unsupported bool
}

// underWay is a range whose writing has begun.
type underWay struct {
	file   *os.File
	off, n int64
}

// Pass begins to write a range, and waits for the oldest ones while more than Ahead bytes are under way.
func (p *Passage) Pass(f *os.File, off, n int64) error {
	if p.unsupported {
		return nil
	}
	err := BeginWriting(f, off, n)
	if errors.Is(err, errors.ErrUnsupported) {
		p.unsupported = true
		return nil
	}
	if err != nil {
		return err
	}
	p.under, p.bytes = append(p.under, underWay{f, off, n}), p.bytes+n
	for p.bytes > p.Ahead {
		oldest := p.under[0]
		if err := AwaitWriting(oldest.file, oldest.off, oldest.n); err != nil {
			return err
		}
		Uncache(oldest.file, oldest.off, oldest.n)
		p.under, p.bytes = p.under[1:], p.bytes-oldest.n
	}
	return nil
}
