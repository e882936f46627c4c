package disk

import "os"

// BeginWriting has the system write a range to the disk now, and does not wait for it. It does nothing where the system cannot do that.
func BeginWriting(f *os.File, off, n int64) error { return beginWriting(f, off, n) }

// AwaitWriting waits until what BeginWriting began in a range is on the disk, or at least in its cache: it is no fsync. The system tells a failed
// write only once, and it may be here: after an error, the fsync at the end must not be believed.
func AwaitWriting(f *os.File, off, n int64) error { return awaitWriting(f, off, n) }

const (
	passingStep = 1 << 20          // bytes whose writing is begun at once
	passingMost = 16 * passingStep // bytes that wait in memory, so that the disk always has something to do
)

// A Passing writes a new file of which nothing is to stay in memory: step by step it goes to the disk and leaves the page cache. So it takes no memory
// from others, and reading it tells what the disk holds. Where the system or the file system cannot do that, it is written as any other file.
type Passing struct {
	file                *os.File
	size, begun, passed int64 // from the beginning of the file
}

// NewPassing returns a Passing for a file that is empty.
func NewPassing(f *os.File) *Passing { return &Passing{file: f} }

// Write implements [io.Writer].
func (p *Passing) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.size += int64(n)
	for ; err == nil && p.size-p.begun >= passingStep; p.begun += passingStep {
		err = BeginWriting(p.file, p.begun, passingStep)
	}
	for ; err == nil && p.begun-p.passed > passingMost; p.passed += passingStep {
		err = AwaitWriting(p.file, p.passed, passingStep)
		uncache(p.file, p.passed, passingStep)
	}
	return n, err
}

// Sync brings all that was written to the disk, durably, and has it leave the page cache.
func (p *Passing) Sync() error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	uncache(p.file, 0, 0) // 0 bytes are all
	return nil
}
