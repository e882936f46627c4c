package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// planTimeout bounds the question what a sink got today: one that does not answer must not keep the others waiting, and is read back.
const planTimeout = 30 * time.Second

// planReadBack decides for every sink whether this backup is read back from it in full.
func (r *runner) planReadBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, planTimeout)
	defer cancel()
	r.proofs = make([]catalog.SinkReadBack, len(r.Sinks))
	var wg sync.WaitGroup
	for i, s := range r.Sinks {
		wg.Go(func() {
			mode := cmp.Or(r.ReadBack[s.Name], catalog.ReadBackAlways)
			_, tells := s.Sink.(sinks.Checksummed)
			full := true
			switch mode {
			case catalog.ReadBackDaily:
				full = !tells || r.due(ctx, s)
			case catalog.ReadBackChecksum:
				full = !tells
			}
			r.proofs[i] = catalog.SinkReadBack{Sink: s.Name, Mode: mode, Full: full}
		})
	}
	wg.Wait()
}

// due reports whether a sink is to be read back in full that is so once a day: it was not yet today, or something went wrong since. What
// is in doubt is due. Of a run that failed nothing may be left but its payload, which is enough.
func (r *runner) due(ctx context.Context, s catalog.Named) bool {
	if slices.ContainsFunc(r.before.Problems, func(p *catalog.Problem) bool { return p.Sink == s.Name && p.Key == "" }) {
		return true
	}
	there := make(map[catalog.ID]bool)
	last := catalog.ID("") // of those read back in full today
	for _, e := range slices.Backward(r.before.Entries) {
		if !sameDay(e.Started, r.started) {
			if e.Started.Before(r.started) {
				break
			}
			return true // a clock was wrong, and may be set back again each day to one that has all it needs
		}
		there[e.ID] = slices.Contains(e.Sinks, s.Name)
		if !there[e.ID] || slices.ContainsFunc(e.Faults(), func(f catalog.Fault) bool { return f.Sink == s.Name }) {
			return true
		}
		believed := r.Trust.Verifiers == nil || e.Sig.Trusted
		if believed && e.ReadBack.FullIn(s.Name) {
			last = e.ID
			break
		}
	}
	if last == "" {
		return true
	}
	uploaded, err := catalog.Uploaded(ctx, s, r.Cluster, r.started)
	return err != nil || slices.ContainsFunc(uploaded, func(id catalog.ID) bool { return id > last && !there[id] })
}

func sameDay(a, b time.Time) bool {
	return a.UTC().Truncate(24 * time.Hour).Equal(b.UTC().Truncate(24 * time.Hour))
}

// prove makes sure that a sink, by its place among all, holds what decrypts to the snapshot, and tells whether it was read back for that.
func (r *runner) prove(ctx context.Context, i int) (full bool, err error) {
	s := r.Sinks[i]
	r.proving.Lock()
	full = r.proofs[i].Full
	r.proving.Unlock()
	if !full {
		told, err := sinks.ChecksumOf(ctx, s.Sink, r.key)
		switch {
		case err == nil && told.New() != nil:
			return false, r.compare(s, told)
		case err != nil && !errors.Is(err, errors.ErrUnsupported):
			return false, err
		}
		r.Log.Warn("the store tells no checksum that can be computed, so the backup is read back in full", "sink", s.Name)
	}
	if err := r.readBack(ctx, s); err != nil {
		return false, err
	}
	r.proving.Lock()
	r.proofs[i].Full = true
	r.proving.Unlock()
	return true, nil
}

// proved is what a manifest that is made now says of the proofs. A sink that is read back in full only because its store tells no checksum may be
// later than that: then it is told to be less than it was.
func (r *runner) proved() catalog.ReadBack {
	r.proving.Lock()
	defer r.proving.Unlock()
	return catalog.ReadBackOf(r.proofs)
}

// readBack proves without any private key that what the sink holds decrypts to the snapshot.
func (r *runner) readBack(ctx context.Context, s catalog.Named) error {
	body, err := s.Open(ctx, r.key, 0)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := r.seal.Verify(body); err != nil {
		return fmt.Errorf("read back from %s: %w", s.Name, err)
	}
	return nil
}

// compare proves that the sealed file here decrypts to the snapshot, and that the store has taken exactly that, by its own word.
func (r *runner) compare(s catalog.Named, told sinks.Checksum) error {
	sum := told.New()
	here := io.NewSectionReader(r.sealed.File(), 0, r.seal.Sealed.Size)
	if err := r.seal.Verify(io.TeeReader(here, sum)); err != nil {
		return fmt.Errorf("the sealed file in the spool: %w", err)
	}
	if own := sum.Sum(nil); !told.Matches(here.Size(), own) {
		return fmt.Errorf("%s holds something else than was sent: %w: %d bytes with the %s %x, not %d with %x",
			s.Name, crypto.ErrDamaged, told.Size, told, told.Sum, here.Size(), own)
	}
	r.Log.Info("compared by the store's checksum, not read back", "sink", s.Name, "checksum", told)
	return nil
}
