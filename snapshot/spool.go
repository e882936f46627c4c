package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
)

// A Spool is a file without a name: what is written to it is gone with the process that holds it, however that ends. It is
// meant for one writer and any number of followers, which read what has arrived while more is coming.
type Spool struct {
	dir  string
	file *os.File

	mu       sync.Mutex
	more     *sync.Cond
	size     int64
	attempt  int // counts Resets; followers of an older one have nothing more to read
	finished bool
	err      error

	step    int64 // bytes after which writing back begins; 0 leaves it to the system
	flushed int64
}

// errAgain is what followers of an abandoned attempt get.
var errAgain = errors.New("the snapshot was begun again from another member")

// NewSpool makes a spool in dir, readable by this user alone and already unlinked. Its errors match ErrSpool.
func NewSpool(dir string) (*Spool, error) {
	f, err := openUnnamed(dir)
	if err != nil {
		return nil, &kindError{ErrSpool, fmt.Errorf("spool directory %s: %w", dir, cause(err))}
	}
	s := &Spool{dir: dir, file: f}
	s.more = sync.NewCond(&s.mu)
	return s, nil
}

// cause leaves out the operation and the path, which our own text names.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// openNamed is the way where the system knows no files without a name: it has one for a moment.
func openNamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".lifeboat-spool-") // 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// WriteBack has the spool written to disk in steps of that many bytes as it grows, instead of in one large burst at the
// system's leisure, which a member's own fsync on the same disk would have to wait for.
func (s *Spool) WriteBack(step int64) { s.step = step }

// Reserve has a file system that can set room aside for that many bytes: writing them costs it less then, and where there is no room,
// that is known before they are sent. Its error matches ErrSpool.
func (s *Spool) Reserve(bytes int64) error {
	if err := Room(s.dir, bytes); err != nil { // a file system may take all that is left before it says so
		return err
	}
	err := disk.Reserve(s.file, 0, bytes)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG) {
		return &kindError{ErrSpool, fmt.Errorf("spool in %s: room for %d bytes: %w", s.dir, bytes, cause(err))}
	}
	return nil // what else is wrong, if anything, writing will tell
}

// File is the spool itself, for ReadAt or as a descriptor for a child. Its offset belongs to the writer.
func (s *Spool) File() *os.File { return s.file }

// Size is how many bytes have arrived.
func (s *Spool) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// Write appends. A full or failing disk is an error that matches ErrSpool.
func (s *Spool) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	s.mu.Lock()
	s.size += int64(n)
	size := s.size
	s.mu.Unlock()
	s.more.Broadcast()
	if err == nil && s.step > 0 && size-s.flushed >= s.step {
		err = s.writeBack(size)
	}
	if err != nil {
		return n, &kindError{ErrSpool, fmt.Errorf("spool in %s: %w", s.dir, cause(err))}
	}
	return n, nil
}

// writeBack begins to write what has come since the last time and waits for what had come before, so that about two
// steps are dirty at most.
func (s *Spool) writeBack(size int64) error {
	from, n := s.flushed, size-s.flushed
	s.flushed = size
	err := disk.BeginWriting(s.file, from, n)
	if errors.Is(err, errors.ErrUnsupported) {
		s.step = 0 // it is left to the system
		return nil
	}
	if before := min(from, n); err == nil && before > 0 {
		err = disk.AwaitWriting(s.file, from-before, before)
	}
	return err
}

// Finish tells the followers that nothing more will come: nil is an end, anything else the reason why there is none.
func (s *Spool) Finish(err error) {
	s.mu.Lock()
	s.finished, s.err = true, err
	s.mu.Unlock()
	s.more.Broadcast()
}

// Reset empties the spool for another attempt. Followers of the one before get an error.
func (s *Spool) Reset() error {
	s.mu.Lock()
	s.attempt++
	s.size, s.flushed, s.finished, s.err = 0, 0, false, nil
	s.mu.Unlock()
	s.more.Broadcast()
	_, err := s.file.Seek(0, io.SeekStart)
	if err == nil {
		err = s.file.Truncate(0)
	}
	if err != nil {
		return &kindError{ErrSpool, fmt.Errorf("spool in %s: begin again: %w", s.dir, cause(err))}
	}
	return nil
}

// Close gives the disk space back. Followers get an error.
func (s *Spool) Close() error {
	s.mu.Lock()
	s.attempt++
	s.mu.Unlock()
	s.more.Broadcast()
	return s.file.Close()
}

// Follow reads the current attempt from its first byte, waiting for what has not arrived yet. The reader ends with io.EOF
// after Finish(nil), with Finish's error, with an error after Reset or Close, or with ctx.
func (s *Spool) Follow(ctx context.Context) io.Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &follower{ctx: ctx, s: s, attempt: s.attempt}
}

// follower keeps its context, as io.Reader has no place for one.
type follower struct {
	ctx     context.Context
	s       *Spool
	attempt int
	off     int64
}

func (f *follower) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	arrived, err := f.wait()
	if err != nil {
		return 0, err
	}
	n, err := f.s.file.ReadAt(p[:min(int64(len(p)), arrived-f.off)], f.off)
	// A Reset may have emptied the file under us: what was read is then good for nothing.
	f.s.mu.Lock()
	again := f.s.attempt != f.attempt
	f.s.mu.Unlock()
	if again {
		return 0, errAgain
	}
	f.off += int64(n)
	if err != nil && n == 0 {
		return 0, &kindError{ErrSpool, fmt.Errorf("read spool in %s: %w", f.s.dir, cause(err))}
	}
	return n, nil
}

// wait blocks until there is more to read, and tells how far the file reaches.
func (f *follower) wait() (int64, error) {
	s := f.s
	stop := context.AfterFunc(f.ctx, func() {
		s.mu.Lock() // so that nobody is between looking at the context and waiting
		defer s.mu.Unlock()
		s.more.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case f.ctx.Err() != nil:
			return 0, context.Cause(f.ctx)
		case s.attempt != f.attempt:
			return 0, errAgain
		case s.size > f.off:
			return s.size, nil
		case s.finished && s.err != nil:
			return 0, s.err
		case s.finished:
			return 0, io.EOF
		}
		s.more.Wait()
	}
}
