package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Delivery is what became of the backup in one sink.
type Delivery struct {
	Sink     string
	Err      error         // nil: committed
	Uploaded time.Duration // the sealed file
	ReadBack time.Duration // read again, decrypted and compared
	clock    time.Time     // the store's time at the upload
}

// deliver puts the sealed file into every sink side by side, then reads it back from each and compares. A sink that fails
// is left; the others go on.
func (r *runner) deliver(ctx context.Context) {
	r.deliveries = make([]Delivery, len(r.Sinks))
	for i, s := range r.Sinks {
		r.deliveries[i].Sink = s.Name
	}
	all := &uploads{total: r.seal.Sealed.Size * int64(len(r.Sinks)), report: r.report}
	r.enter(PhaseUpload)
	r.eachSound(func(i int, s catalog.Named) error {
		began := time.Now()
		if err := s.Put(ctx, r.manifest.Sealed.Key, all.body(r.sealed.File()), r.seal.Sealed.Size); err != nil {
			return err
		}
		r.deliveries[i].Uploaded = time.Since(began)
		return nil
	})
	r.enter(PhaseReadBack)
	r.eachSound(func(i int, s catalog.Named) error {
		began := time.Now()
		if err := r.readBack(ctx, s); err != nil {
			return err
		}
		r.deliveries[i].ReadBack = time.Since(began)
		r.deliveries[i].clock = clockOf(ctx, s, r.manifest.Sealed.Key)
		return nil
	})
}

// eachSound runs do for every sink that has not failed yet, side by side, and records who fails.
func (r *runner) eachSound(do func(i int, s catalog.Named) error) {
	var wg sync.WaitGroup
	for i, s := range r.Sinks {
		if r.deliveries[i].Err != nil {
			continue
		}
		wg.Go(func() {
			if err := do(i, s); err != nil {
				r.deliveries[i].Err = err
				r.Log.Error("sink left", "sink", s.Name, "phase", string(r.phase), "err", err)
			}
		})
	}
	wg.Wait()
}

// readBack proves without any private key that what the sink holds decrypts to the snapshot.
func (r *runner) readBack(ctx context.Context, s catalog.Named) error {
	body, err := s.Open(ctx, r.manifest.Sealed.Key, 0)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := r.seal.Verify(body); err != nil {
		return fmt.Errorf("read back from %s: %w", s.Name, err)
	}
	return nil
}

// clockOf is the store's own time of the upload, zero where it does not say: the manifest keeps it beside our clock's, so
// that a host with a wrong clock can be told apart later.
func clockOf(ctx context.Context, s sinks.Sink, key string) time.Time {
	for o, err := range s.List(ctx, key) {
		if err != nil || o.Key != key {
			break
		}
		return o.ModTime.UTC()
	}
	return time.Time{}
}

// commit writes the manifest, the same text for all, to every sink that was read back. Nobody can see the backup before.
func (r *runner) commit(ctx context.Context) error {
	r.enter(PhaseCommit)
	if ctx.Err() != nil { // nothing was begun, so this is certain
		return fmt.Errorf("ended before the commit: %w", context.Cause(ctx))
	}
	tried := false
	for _, d := range r.deliveries {
		tried = tried || d.Err == nil
		if d.Err == nil && r.manifest.BucketTime.IsZero() {
			r.manifest.BucketTime = d.clock
		}
	}
	r.manifest.Finished = r.Now().UTC()
	text, err := catalog.Encode(r.manifest, r.Signers...)
	if err != nil {
		return err
	}
	// What is reported is what a reader will find, not what we believe to have written.
	if r.manifest, _, err = catalog.Decode(text, catalog.Trust{}); err != nil {
		return err
	}
	r.eachSound(func(_ int, s catalog.Named) error {
		return catalog.Commit(ctx, s, text)
	})
	var failed []error
	for _, d := range r.deliveries {
		if d.Err == nil {
			return nil
		}
		failed = append(failed, d.Err)
	}
	err = fmt.Errorf("no sink holds the backup: %w", errors.Join(failed...))
	if tried {
		err = &UncertainError{r.manifest.ID, err}
	}
	return err
}

// uploads adds up how far the bodies of all sinks were read. A body may be read twice (to sign it, or again after a lost
// connection), so only what lies beyond the furthest byte so far counts.
type uploads struct {
	total  int64
	report func(done, total int64)
	done   atomic.Int64
}

func (u *uploads) body(of io.ReaderAt) io.ReaderAt { return &countedBody{ReaderAt: of, in: u} }

type countedBody struct {
	io.ReaderAt
	in   *uploads
	mu   sync.Mutex
	high int64
}

func (b *countedBody) ReadAt(p []byte, off int64) (int, error) {
	n, err := b.ReaderAt.ReadAt(p, off)
	b.mu.Lock()
	beyond := max(off+int64(n)-b.high, 0)
	b.high += beyond
	b.mu.Unlock()
	b.in.report(b.in.done.Add(beyond), b.in.total)
	return n, err
}
