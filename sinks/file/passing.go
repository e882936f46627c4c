package file

import (
	"os"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
)

const (
	passingStep = 1 << 20          // bytes whose writing is begun at once
	passingMost = 16 * passingStep // bytes that wait in memory, so that the disk always has something to do
)

// A passing writes a new file of which nothing is to stay in memory: step by step it goes to the disk and leaves the page cache, where the file system
// heeds that. So it takes no memory from others, and reading it back asks the file system again, instead of what this machine still knows.
type passing struct {
	file        *os.File // empty at first
	size, begun int64    // from the beginning of the file
	passage     disk.Passage
	err         error // the first: an fsync after it must not be believed
}

// newPassing begins with an empty file.
func newPassing(f *os.File) *passing {
	return &passing{file: f, passage: disk.Passage{Ahead: passingMost}}
}

// Write implements [io.Writer].
func (p *passing) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.file.Write(b)
	p.size += int64(n)
	for ; err == nil && p.size-p.begun >= passingStep; p.begun += passingStep {
		err = p.passage.Pass(p.file, p.begun, passingStep)
	}
	p.err = err
	return n, err
}

// sync brings all that was written to the disk, durably, and has the rest of it leave the page cache.
func (p *passing) sync() error {
	if p.err != nil {
		return p.err
	}
	if err := p.file.Sync(); err != nil {
		return err
	}
	disk.Uncache(p.file, 0, 0)
	return nil
}
