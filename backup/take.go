package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// A lastError is a failure that the next member would not cure.
type lastError struct{ error }

func (e lastError) Unwrap() error { return e.error }

// take brings a snapshot into the sinks from the first candidate that delivers a sound and current one.
func (r *runner) take(ctx context.Context) error {
	for _, c := range r.found.Candidates {
		err := r.takeFrom(ctx, c)
		if err == nil {
			if err = r.deliver(ctx); r.unsound == nil {
				return err
			}
		}
		var last lastError
		if errors.As(err, &last) {
			return last.error
		}
		if ctx.Err() != nil || errors.Is(err, snapshot.ErrSpool) {
			return err
		}
		r.skipped = append(r.skipped, fmt.Errorf("%s: %w", c.URL, err))
		r.Log.Warn("member left for the next one", "endpoint", c.URL, "err", err)
	}
	return &NoSnapshotError{r.skipped}
}

// takeFrom saves from one member, sealing as the bytes arrive. The member's stream is never held back by the sealing: slow readers pin
// pages in the live database.
func (r *runner) takeFrom(ctx context.Context, from snapshot.Endpoint) error {
	r.times.again()
	defer r.times.enter(PhaseSave)()
	if err := errors.Join(r.spool.Reset(), r.sealed.Reset()); err != nil {
		return err
	}
	r.Log.Info("saving", "endpoint", from.URL, "member", from.Name)

	if r.seal != nil {
		r.seal.Forget()
	}
	saving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	sealing := make(chan error, 1)
	arriving := r.spool.Follow(saving)
	go func() {
		seal, err := r.sealFrom(arriving)
		if err != nil {
			err = lastError{fmt.Errorf("cannot seal: %w", err)}
			stop(err) // no need to receive what cannot be sealed
		}
		r.seal = seal
		sealing <- err
	}()
	saved, err := r.cluster.Save(saving, from, r.spool, snapshot.SaveOptions{Stall: r.Stall, Progress: r.progress(PhaseSave)})
	r.spool.Finish(err)
	sealed := <-sealing
	if err := cmp.Or(err, sealed); err != nil {
		return err
	}
	if r.seal.Plain.Size != saved.Size {
		return lastError{fmt.Errorf("cannot seal: %d bytes were read from the spool, and the member sent %d", r.seal.Plain.Size, saved.Size)}
	}
	r.seal.Plain.SHA256 = saved.SHA256
	r.source, r.saved = from, saved
	return r.name(ctx)
}

// sealFrom seals what arrives in the spool. Save hashes it, and what comes out of the sealed file is compared with that.
func (r *runner) sealFrom(src io.Reader) (*crypto.Seal, error) {
	if r.Plain {
		return crypto.SealPlain(r.sealed, crypto.HashedElsewhere{Reader: src})
	}
	return crypto.SealTo(r.sealed, crypto.HashedElsewhere{Reader: src}, r.Recipients)
}

// check decides whether what was saved is a backup: whole, current, and if that was asked for, equal to what the members hold. It completes
// the manifest, and gives the spool's room back. The sinks may have the sealed file by then, and nothing else.
func (r *runner) check(ctx context.Context) (err error) {
	// Save has hashed every byte on its way into the spool.
	if r.info, err = snapshot.Inspect(ctx, r.spool.File(), snapshot.InspectOptions{SkipDigest: true}); err != nil {
		return err
	}
	if err := r.info.Fresh(r.found.R0); err != nil {
		return err
	}
	if r.info.Revision != r.id.Revision() {
		return fmt.Errorf("the file says that its revision is %d, and said before that it is %d: %w", r.info.Revision, r.id.Revision(), snapshot.ErrDamaged)
	}
	if r.Attest {
		if err := r.attest(ctx); err != nil {
			return lastError{err}
		}
	}
	r.describe()
	if err := r.spool.Reset(); err != nil {
		r.Log.Warn("the spool's room is given back later", "err", err)
	}
	return nil
}

// attest compares the file's HashKV with what every candidate answers for the same revision.
func (r *runner) attest(ctx context.Context) error {
	answers, err := r.cluster.Attest(ctx, r.found.Candidates, r.info.Revision)
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Err != nil {
			r.Log.Warn("member was not compared", "endpoint", a.Endpoint, "err", a.Err)
			continue
		}
		if a.Hash.CompactRevision < r.info.CompactRevision { // it lags behind with compacting, and the file can no longer tell
			r.Log.Warn("member was not compared: it has not compacted as far as the snapshot", "endpoint", a.Endpoint,
				"compacted", a.Hash.CompactRevision, "snapshot", r.info.CompactRevision)
			continue
		}
		ours, err := r.hashAt(ctx, a.Hash.CompactRevision)
		if err != nil {
			return err
		}
		if agreed, _ := snapshot.Differing([]snapshot.MemberHash{a}, ours); agreed == 0 {
			return fmt.Errorf("member %s answers HashKV %d at revision %d where the snapshot of %s has %d: %w",
				a.Member, a.Hash.Hash, r.info.Revision, r.source.Name, ours.Hash, snapshot.ErrDamaged)
		}
		r.attested = append(r.attested, a.Member)
	}
	return nil
}

// hashAt is the file's hash as a member that has compacted to the given revision computes it: the cluster may have compacted
// since the snapshot.
func (r *runner) hashAt(ctx context.Context, compact int64) (snapshot.Hash, error) {
	if compact == r.info.Hash.CompactRevision {
		return r.info.Hash, nil
	}
	at := &snapshot.HashPoint{Revision: r.info.Revision, CompactRevision: compact}
	again, err := snapshot.Inspect(ctx, r.spool.File(), snapshot.InspectOptions{SkipDigest: true, HashAt: at})
	if err != nil {
		return snapshot.Hash{}, err
	}
	return again.Hash, nil
}
