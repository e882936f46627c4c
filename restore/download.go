package restore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/internal/disk"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// A haste says when an object is read in several ranges at once. Stores give each connection only so much; where one connection is
// enough, as from a directory, more would only be in each other's way.
type haste struct {
	after  time.Duration // what a single connection needs longer for …
	ranges int           // … is read in this many, …
	least  int64         // … each of at least so many bytes
}

func ordinaryHaste() haste { return haste{after: time.Second, ranges: 4, least: 16 << 20} }

// A download is one object on its way into a file. Each range is written by a goroutine of its own; another reads the file from
// its beginning as far as it is there, and hashes it.
type download struct {
	sink sinks.Sink
	key  string
	size int64 // bytes that are expected
	dst  *os.File
	how  haste

	moved func(n int64)

	mu     sync.Mutex
	change *sync.Cond // a range got on, or the context ended
	ranges []*byteRange
}

// A byteRange is what one connection is read for. Both are guarded by the download's mu.
type byteRange struct {
	at, end int64
}

// run reads the object whole, and returns its SHA-256 in hex. An object of another size matches catalog.ErrDamaged.
func (d *download) run(ctx context.Context) (string, error) {
	d.change = sync.NewCond(&d.mu)
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, d.changed)()
	whole := &byteRange{0, d.size}
	d.ranges = []*byteRange{whole}
	var sum string
	g.Go(func() (err error) {
		sum, err = d.digest(ctx)
		return err
	})
	// The first range finds out how fast it is, and has the others started.
	started := time.Now()
	g.Go(func() error {
		return d.read(ctx, whole, func() {
			if len(d.ranges) > 1 || time.Since(started) < d.how.after {
				return
			}
			for _, r := range d.split(whole) {
				g.Go(func() error { return d.read(ctx, r, func() {}) })
			}
		})
	})
	err := g.Wait()
	return sum, err
}

// split shortens r and returns what it has left to others, which are part of the download then: nothing if that is too little.
func (d *download) split(r *byteRange) []*byteRange {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(int64(d.how.ranges), (r.end-r.at)/d.how.least)
	if n < 2 {
		return nil
	}
	step, end := (r.end-r.at)/n, r.end
	r.end = r.at + step
	for i := range n - 1 {
		d.ranges = append(d.ranges, &byteRange{r.end + i*step, r.end + (i+1)*step})
	}
	d.ranges[len(d.ranges)-1].end = end
	return d.ranges[1:]
}

// read writes one range to the file. Between any two parts it calls pause.
func (d *download) read(ctx context.Context, r *byteRange, pause func()) error {
	begin := r.at // nobody else changes it
	body, err := d.sink.Open(ctx, d.key, begin)
	if begin > 0 && errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("%w: %s has not even %d of %d bytes", catalog.ErrDamaged, d.key, begin, d.size)
	}
	if err != nil {
		return err
	}
	defer body.Close()
	buf := make([]byte, disk.WritePart)
	for at := begin; ; {
		left := d.left(r)
		if left == 0 {
			return d.ends(body, at)
		}
		n, err := fill(body, buf[:min(left, disk.WritePart)])
		if _, bad := d.dst.WriteAt(buf[:n], at); bad != nil {
			return bad
		}
		at += int64(n)
		d.got(r, at)
		d.moved(int64(n))
		if err == io.EOF && at < d.size {
			return fmt.Errorf("%w: %s has %d of %d bytes", catalog.ErrDamaged, d.key, at, d.size)
		}
		if err != nil && err != io.EOF {
			return err
		}
		pause()
	}
}

// ends makes sure that the object is over where the last range is.
func (d *download) ends(body io.Reader, at int64) error {
	if at < d.size {
		return nil
	}
	n, err := fill(body, make([]byte, 1))
	switch {
	case n > 0:
		return fmt.Errorf("%w: %s is longer than the %d bytes that were stored", catalog.ErrDamaged, d.key, d.size)
	case err == io.EOF:
		return nil
	}
	return err
}

func (d *download) left(r *byteRange) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return r.end - r.at
}

func (d *download) got(r *byteRange, at int64) {
	d.mu.Lock()
	r.at = at
	d.mu.Unlock()
	d.change.Broadcast()
}

func (d *download) changed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.change.Broadcast()
}

// digest hashes the file from its beginning, as it comes.
func (d *download) digest(ctx context.Context) (string, error) {
	h := sha256.New()
	buf := make([]byte, disk.WritePart)
	for at := int64(0); at < d.size; {
		upTo, err := d.wait(ctx, at)
		if err != nil {
			return "", err
		}
		for at < upTo {
			part := buf[:min(upTo-at, disk.WritePart)]
			if _, err := d.dst.ReadAt(part, at); err != nil {
				return "", readFully(err)
			}
			h.Write(part)
			at += int64(len(part))
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// wait returns up to where the file is there, as soon as that is beyond at.
func (d *download) wait(ctx context.Context, at int64) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ctx.Err() == nil {
		upTo := int64(0)
		for _, r := range d.ranges { // in their order
			if upTo = r.at; r.at < r.end {
				break
			}
		}
		if upTo > at {
			return upTo, nil
		}
		d.change.Wait()
	}
	return 0, context.Cause(ctx)
}
