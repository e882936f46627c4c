package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
)

const (
	// A stream that brings less than stallBytes in defaultStall has stalled. Messages prove nothing: a server can send empty
	// ones for ever.
	stallBytes   = 64 << 10
	defaultStall = 30 * time.Second

	trailerSize = sha256.Size
)

// SaveOptions are the wishes of Save's caller.
type SaveOptions struct {
	Stall    time.Duration           // see stallBytes; 0 is 30 s
	Progress func(done, total int64) // bytes, called for every piece that is written, and at the end; may be nil
}

// Saved is what Save has written.
type Saved struct {
	Size    int64  // bytes, the trailer of 32 included
	SHA256  string // hex, of the whole file with its trailer
	Version string // the storage version, "" before etcd 3.6
}

// Save streams a snapshot of one member into dst, which then holds the file that etcdctl snapshot save would write. The
// SHA-256 trailer has been found right when it returns nil.
//
// Errors: ErrUnavailable (an *EndpointError) if the member stalls, goes away or refuses; ErrDamaged (likewise) if what it sent is cut
// short, too long or does not match its trailer; ErrSpool if dst fails. After each but the last another member is worth a try,
// from zero. What dst holds then is worthless.
func (c *Cluster) Save(ctx context.Context, ep Endpoint, dst io.Writer, o SaveOptions) (Saved, error) {
	l, err := c.find(ctx, ep)
	if err != nil {
		return Saved{}, err
	}
	if o.Stall <= 0 {
		o.Stall = defaultStall
	}
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &receiver{dst: dst, expected: ep.DBSize, digest: sha256.New(), progress: o.Progress, chunk: make([]byte, 0, disk.WritePart)}
	err = r.receive(ctx, l.cc, newStallWatch(o.Stall, cancel))
	if err == nil {
		return r.finish(l.url)
	}
	switch cause := context.Cause(ctx); {
	case outer.Err() != nil:
		return Saved{}, context.Cause(outer)
	case errors.Is(err, ErrSpool):
		return Saved{}, err
	case errors.Is(cause, errStall):
		hint := "the next member is worth a try; if it happens to all, look at their disks and at the network between"
		return Saved{}, &EndpointError{Endpoint: l.url, Kind: ErrUnavailable, Err: fmt.Errorf("%w after %d of %d bytes", cause, r.got, r.total), Hint: hint}
	case errors.Is(err, ErrDamaged):
		return Saved{}, &EndpointError{Endpoint: l.url, Kind: ErrDamaged, Err: err}
	}
	failure := l.explain(err)
	if r.got > 0 {
		failure.Err = fmt.Errorf("snapshot stream broke after %d of %d bytes: %w", r.got, r.total, failure.Err)
	}
	return Saved{}, failure
}

// receiver writes a stream to dst and hashes it on the way, chunk by chunk. The last 32 bytes are held back from the hash: they are the
// trailer, which is the digest of everything before it, and no message says that it is the last.
type receiver struct {
	dst      io.Writer
	digest   hash.Hash
	progress func(done, total int64)

	expected int64 // as the member's status told
	total    int64 // announced, with the trailer
	got      int64
	chunk    []byte // received and not written yet
	tail     []byte // at most trailerSize
	version  string
}

func (r *receiver) receive(ctx context.Context, cc *grpc.ClientConn, watch *stallWatch) error {
	defer watch.stop()
	watch.start()
	stream, err := openStream(ctx, cc)
	if err != nil {
		return err
	}
	var message blobMessage
	for {
		watch.start()
		if err := stream.RecvMsg(&message); errors.Is(err, io.EOF) {
			return r.flush()
		} else if err != nil {
			return err
		}
		n := message.size()
		watch.pause(n)
		if r.got == 0 && n > 0 {
			r.total = int64(message.remaining) + int64(n) + trailerSize
			r.version = message.version
			if err := r.reserve(); err != nil {
				return err
			}
		}
		err := r.take(message.blob, n)
		message.release()
		if err != nil {
			return err
		}
	}
}

// reserve has room set aside for all that is announced, where dst can do that; but not for more than a member of that size can have grown to,
// so that a wrong announcement fills no disk.
func (r *receiver) reserve() error {
	spool, ok := r.dst.(*Spool)
	if !ok || r.total < 0 || r.total > 2*r.expected {
		return nil
	}
	return spool.Reserve(r.total)
}

// take adds one blob, of n bytes in parts, to the chunk, and writes that whenever it is full.
func (r *receiver) take(blob [][]byte, n int) error {
	r.got += int64(n)
	if r.got > r.total {
		return damaged("the snapshot stream is longer than the %d bytes it announced", r.total)
	}
	for _, part := range blob {
		for len(part) > 0 {
			n := min(len(part), cap(r.chunk)-len(r.chunk))
			r.chunk = append(r.chunk, part[:n]...)
			part = part[n:]
			if len(r.chunk) < cap(r.chunk) {
				continue
			}
			if err := r.flush(); err != nil {
				return err
			}
			if r.progress != nil {
				r.progress(r.got-int64(len(part)), r.total)
			}
		}
	}
	return nil
}

// flush writes and hashes what has been received so far.
func (r *receiver) flush() error {
	if _, err := r.dst.Write(r.chunk); err != nil {
		return &kindError{ErrSpool, fmt.Errorf("write snapshot: %w", err)}
	}
	r.hash(r.chunk)
	r.chunk = r.chunk[:0]
	return nil
}

// hash takes in everything but the last 32 bytes so far.
func (r *receiver) hash(part []byte) {
	if len(part) >= trailerSize {
		cut := len(part) - trailerSize
		r.digest.Write(r.tail)
		r.digest.Write(part[:cut])
		r.tail = append(r.tail[:0], part[cut:]...)
		return
	}
	r.tail = append(r.tail, part...)
	if cut := len(r.tail) - trailerSize; cut > 0 {
		r.digest.Write(r.tail[:cut])
		r.tail = append(r.tail[:0], r.tail[cut:]...)
	}
}

// finish judges the stream once its end has come.
func (r *receiver) finish(url string) (Saved, error) {
	fault := ""
	switch {
	case r.got != r.total || r.got <= trailerSize:
		fault = fmt.Sprintf("snapshot stream cut short: %d of %d bytes", r.got, r.total)
	case !bytes.Equal(r.digest.Sum(nil), r.tail):
		fault = "snapshot does not match the SHA-256 it ends with"
	case r.got%512 != trailerSize:
		fault = fmt.Sprintf("snapshot of %d bytes is no whole number of pages and a SHA-256", r.got)
	}
	if fault != "" {
		return Saved{}, &EndpointError{Endpoint: url, Kind: ErrDamaged, Err: errors.New(fault), Hint: "the next member is worth a try"}
	}
	if r.progress != nil {
		r.progress(r.got, r.total)
	}
	r.digest.Write(r.tail)
	return Saved{Size: r.got, SHA256: hex.EncodeToString(r.digest.Sum(nil)), Version: r.version}, nil
}

var errStall = errors.New("stalled")

// A stallWatch cancels when bytes fail to come. It is paused while the receiver is busy with its own disk: that is not the
// member's fault.
type stallWatch struct {
	limit time.Duration
	left  time.Duration
	since time.Time
	bytes int
	timer *time.Timer
}

func newStallWatch(limit time.Duration, cancel context.CancelCauseFunc) *stallWatch {
	w := &stallWatch{limit: limit, left: limit}
	w.timer = time.AfterFunc(limit, func() {
		cancel(fmt.Errorf("%w: less than %d KiB in %s", errStall, stallBytes>>10, limit))
	})
	w.timer.Stop()
	return w
}

func (w *stallWatch) start() {
	w.since = time.Now()
	w.timer.Reset(w.left)
}

// pause stops the clock and counts what has come; enough of it begins a new period.
func (w *stallWatch) pause(n int) {
	w.timer.Stop()
	w.left = max(0, w.left-time.Since(w.since))
	if w.bytes += n; w.bytes >= stallBytes {
		w.bytes, w.left = 0, w.limit
	}
}

func (w *stallWatch) stop() { w.timer.Stop() }
