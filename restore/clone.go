package restore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/internal/disk"
)

const (
	// cloneStep is how many bytes of the first file a worker takes at a time, and then has the disk write.
	cloneStep = 8 << 20

	// cloneAhead is how many bytes are under way to the disk at most, of all workers, where clones leave memory: enough for the disk to have always something to do.
	cloneAhead = 256 << 20

	// maxCloners is how many copy at a time at most: more would wait for each other at the files, or for the disk.
	maxCloners = 4
)

// clones are the databases of the other members while they are made equal to that of the first: by one pass that writes all of them, and by one that
// finds what was changed in the first since then.
type clones struct {
	src   *os.File
	dsts  []*os.File
	leave bool         // the page cache, when they are on the disk
	ahead int64        // bytes under way to the disk at most
	seed  maphash.Seed // secret and random: two contents have the same sum by a chance of 1 in 2⁶⁴

	mu     sync.Mutex
	copied []summed // in order, when fill has returned

	filled chan struct{} // closed when fill, which start has begun, has returned …
	err    error         // … with this
}

// summed is a piece of the first file as every clone holds it.
type summed struct {
	span
	sum uint64
}

func newClones(src *os.File, dsts []*os.File, leave bool) *clones {
	c := &clones{src: src, dsts: dsts, leave: leave, ahead: math.MaxInt64, seed: maphash.MakeSeed(), filled: make(chan struct{})}
	if leave {
		c.ahead = cloneAhead
	}
	return c
}

// start begins to fill, which wait waits for.
func (c *clones) start(ctx context.Context, l layout, moved func(n int64)) {
	go func() {
		defer close(c.filled)
		c.err = c.fill(ctx, l, moved)
	}()
}

func (c *clones) wait() error {
	<-c.filled
	return c.err
}

// fill makes the clones hold what src holds outside the gaps, and has the disk write it. Each piece is read back and compared. moved is told of bytes
// of all the clones.
func (c *clones) fill(ctx context.Context, l layout, moved func(n int64)) error {
	if err := c.resize(ctx, l.Size); err != nil {
		return err
	}
	for _, dst := range c.dsts {
		for _, s := range l.filled() {
			wish(dst, s)
		}
	}
	err := c.work(ctx, l, func(ctx context.Context, w *cloner, step span) error {
		var all []summed
		for piece := range step.cut(disk.WritePart) {
			if err := w.read(ctx, piece); err != nil {
				return err
			}
			if err := w.write(piece); err != nil {
				return err
			}
			all = append(all, summed{piece, w.sum(w.back)})
		}
		if err := w.send(step); err != nil {
			return err
		}
		c.mu.Lock()
		c.copied = append(c.copied, all...)
		c.mu.Unlock()
		moved(step.Len * int64(len(c.dsts)))
		return nil
	})
	slices.SortFunc(c.copied, func(a, b summed) int { return cmp.Compare(a.Off, b.Off) })
	return err
}

// equalise makes the clones hold what src holds by now: it has been edited since fill began, which changed a few pages, some perhaps while they were
// copied. Only src is read: a piece that has the sum of what was read back from the clones is what they hold. moved is told of bytes of src.
func (c *clones) equalise(ctx context.Context, l layout, moved func(n int64)) error {
	if err := c.resize(ctx, l.Size); err != nil {
		return err
	}
	return c.work(ctx, l, func(ctx context.Context, w *cloner, step span) error {
		for piece := range step.cut(disk.WritePart) {
			if err := w.read(ctx, piece); err != nil {
				return err
			}
			if c.have(summed{piece, w.sum(w.piece)}) {
				continue
			}
			if err := w.write(piece); err != nil {
				return err
			}
		}
		moved(step.Len)
		return nil
	})
}

// have tells whether the clones hold a piece as it is now.
func (c *clones) have(now summed) bool {
	i, ok := slices.BinarySearchFunc(c.copied, now.Off, func(s summed, off int64) int { return cmp.Compare(s.Off, off) })
	return ok && c.copied[i] == now
}

func (c *clones) resize(ctx context.Context, size int64) error {
	for _, dst := range c.dsts {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := dst.Truncate(size); err != nil {
			return err
		}
	}
	return nil
}

// settle equalises the clones, and makes them durable.
func (c *clones) settle(ctx context.Context, l layout, moved func(n int64)) error {
	if err := c.equalise(ctx, l, moved); err != nil {
		return err
	}
	var g errgroup.Group
	for _, dst := range c.dsts {
		g.Go(func() error {
			err := dst.Sync()
			if err == nil && c.leave {
				disk.Uncache(dst, 0, 0)
			}
			return err
		})
	}
	return g.Wait()
}

// work has several cloners do the filled spans in steps, until ctx ends.
func (c *clones) work(ctx context.Context, l layout, do func(ctx context.Context, w *cloner, step span) error) error {
	g, ctx := errgroup.WithContext(ctx)
	steps := make(chan span)
	g.Go(func() error {
		defer close(steps)
		for _, s := range l.filled() {
			for step := range s.cut(cloneStep) {
				select {
				case steps <- step:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		}
		return nil
	})
	n := min(runtime.GOMAXPROCS(0), maxCloners)
	for range n {
		g.Go(func() error {
			w := &cloner{clones: c, piece: make([]byte, disk.WritePart), back: make([]byte, disk.WritePart), passage: disk.Passage{Ahead: c.ahead / int64(n)}}
			for step := range steps {
				if err := do(ctx, w, step); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// A cloner copies one piece after the other.
type cloner struct {
	*clones
	piece, back []byte // what was read of src, and of a clone
	passage     disk.Passage
}

// read gets a piece of src, unless ctx has ended.
func (w *cloner) read(ctx context.Context, s span) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.piece = w.piece[:s.Len]
	_, err := w.src.ReadAt(w.piece, s.Off)
	return readFully(err)
}

func (w *cloner) sum(b []byte) uint64 { return maphash.Bytes(w.seed, b) }

// write puts the piece that was read into every clone, and compares what they then hold.
func (w *cloner) write(s span) error {
	w.back = w.back[:s.Len]
	for _, dst := range w.dsts {
		if _, err := dst.WriteAt(w.piece, s.Off); err != nil {
			return err
		}
		if _, err := dst.ReadAt(w.back, s.Off); err != nil {
			return readFully(err)
		}
		if !bytes.Equal(w.piece, w.back) {
			return fmt.Errorf("%s does not hold what was just written to it, in the %d bytes from %d on: the memory of this machine is faulty, or its file system",
				dst.Name(), s.Len, s.Off)
		}
	}
	return nil
}

// send has the disk write a step of every clone.
func (w *cloner) send(step span) error {
	for _, dst := range w.dsts {
		if err := w.passage.Pass(dst, step.Off, step.Len); err != nil {
			return err
		}
	}
	return nil
}
