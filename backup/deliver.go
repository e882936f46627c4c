package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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
	ReadBack time.Duration // read again, decrypted and compared; or compared by the store's checksum
	Full     bool          // read again, decrypted and compared
	tried    bool          // the manifest was sent, whatever became of it
}

// deliver checks what was saved, and meanwhile uploads it to every sink, side by side. To read back and to commit, the sinks wait for the check: one
// that fails ends them, and nobody has paid for reading what is no backup. No sink waits for another: one that hangs until --timeout must
// not keep a sound one from being committed. It fails if the check does, which r.unsound tells, or if no sink holds the backup in the end.
func (r *runner) deliver(outer context.Context) error {
	r.planReadBack(outer)
	ctx, abort := context.WithCancelCause(outer)
	defer abort(nil)
	r.checked, r.unsound = make(chan struct{}), nil
	inspected := r.times.enter(PhaseInspect) // before the uploads, so that logs tell them in one order
	go func() {
		defer close(r.checked)
		defer inspected()
		if r.unsound = r.check(ctx); r.unsound != nil {
			abort(r.unsound)
		}
	}()

	r.deliveries = make([]Delivery, len(r.Sinks))
	all := &uploads{total: r.seal.Sealed.Size * int64(len(r.Sinks)), report: r.progress(PhaseUpload)}
	var wg sync.WaitGroup
	for i, s := range r.Sinks {
		d := &r.deliveries[i]
		d.Sink = s.Name
		wg.Go(func() {
			d.Err = r.deliverTo(ctx, i, d, all.body(r.sealed.File()))
			byCheck := ctx.Err() != nil && outer.Err() == nil // which tells of itself, and says nothing against the sink
			if d.Err != nil && !byCheck {
				r.Log.Error("sink left", "sink", s.Name, "err", d.Err)
			}
		})
	}
	wg.Wait()
	if !slices.ContainsFunc(r.deliveries, func(d Delivery) bool { return d.Err == nil }) && ctx.Err() == nil {
		abort(errNowhere) // no need to know any more
	}
	<-r.checked
	if errors.Is(r.unsound, errNowhere) {
		r.unsound = nil
	}
	if r.unsound == nil {
		return r.outcome(outer)
	}
	for _, d := range r.deliveries {
		if d.Uploaded > 0 {
			r.Log.Warn("what was uploaded is no backup, as it has no manifest: prune removes it", "sink", d.Sink, "key", r.key)
		}
	}
	return r.unsound
}

// errNowhere ends the check of a backup that no sink will hold.
var errNowhere = errors.New("no sink took it")

// deliverTo brings the backup into one sink: the manifest is the last that is written, and only once what is in the sealed file was checked and
// the sink's copy proved.
func (r *runner) deliverTo(ctx context.Context, i int, d *Delivery, body io.ReaderAt) error {
	if err := r.upload(ctx, i, d, body); err != nil {
		return err
	}
	select {
	case <-r.checked:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return fmt.Errorf("ended before the read-back: %w", context.Cause(ctx))
	}
	if err := r.readBackFrom(ctx, i, d); err != nil {
		return err
	}
	clock := clockOf(ctx, r.Sinks[i], r.key)
	defer r.times.enter(PhaseCommit)()
	if ctx.Err() != nil { // nothing was begun, so this is certain
		return fmt.Errorf("ended before the commit: %w", context.Cause(ctx))
	}
	text, err := r.text(clock)
	if err != nil {
		return err
	}
	d.tried = true
	return catalog.Commit(ctx, r.Sinks[i], text)
}

// upload puts the sealed file into one sink.
func (r *runner) upload(ctx context.Context, i int, d *Delivery, body io.ReaderAt) error {
	defer r.times.enter(PhaseUpload)()
	began := time.Now()
	if err := r.Sinks[i].Put(ctx, r.key, body, r.seal.Sealed.Size); err != nil {
		return err
	}
	d.Uploaded = time.Since(began)
	return nil
}

// readBackFrom proves that one sink holds the sealed file.
func (r *runner) readBackFrom(ctx context.Context, i int, d *Delivery) (err error) {
	defer r.times.enter(PhaseReadBack)()
	began := time.Now()
	d.Full, err = r.prove(ctx, i)
	d.ReadBack = time.Since(began)
	return err
}

// text is the manifest, made by the first sink that is ready for it and the same for all. Nobody can see the backup before.
func (r *runner) text(clock time.Time) ([]byte, error) {
	r.noteOnce.Do(func() {
		m := r.manifest
		m.BucketTime, m.Finished, m.ReadBack = clock, r.Now().UTC(), r.proved()
		if r.note, r.noteErr = catalog.Encode(m, r.Signers...); r.noteErr != nil {
			return
		}
		// What is reported is what a reader will find, not what we believe to have written.
		r.manifest, _, r.noteErr = catalog.Decode(r.note, catalog.Trust{})
	})
	return r.note, r.noteErr
}

// outcome is an error unless some sink holds the backup.
func (r *runner) outcome(ctx context.Context) error {
	var failed []error
	tried := false
	for _, d := range r.deliveries {
		if d.Err == nil {
			return nil
		}
		failed, tried = append(failed, d.Err), tried || d.tried
	}
	err := fmt.Errorf("no sink holds the backup: %w", errors.Join(failed...))
	switch {
	case tried:
		return &UncertainError{r.manifest.ID, err}
	case ctx.Err() != nil:
		return fmt.Errorf("ended before the commit: %w", context.Cause(ctx))
	}
	return err
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
