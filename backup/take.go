package backup

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// errSealing marks a failure on our side of the stream, which another member would not cure.
var errSealing = errors.New("cannot seal")

// takeFrom saves from one member, sealing as the bytes arrive, and inspects what came. The member's stream is never held
// back by the sealing: slow readers pin pages in the live database.
func (r *runner) takeFrom(ctx context.Context, from snapshot.Endpoint) error {
	r.enter(PhaseSave)
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
			err = fmt.Errorf("%w: %w", errSealing, err)
			stop(err) // no need to receive what cannot be sealed
		}
		r.seal = seal
		sealing <- err
	}()
	saved, err := r.cluster.Save(saving, from, r.spool, snapshot.SaveOptions{Stall: r.Stall, Progress: r.report})
	r.spool.Finish(err)
	sealed := <-sealing
	if err != nil {
		return err
	}
	r.source, r.saved = from, saved

	r.enter(PhaseInspect)
	// Save has hashed every byte on its way into the spool.
	if r.info, err = snapshot.Inspect(ctx, r.spool.File(), snapshot.InspectOptions{SkipDigest: true}); err != nil {
		return err
	}
	if err := r.info.Fresh(r.found.R0); err != nil {
		return err
	}
	if sealed != nil {
		return sealed
	}
	if r.seal.Plain.SHA256 != saved.SHA256 || r.seal.Plain.Size != saved.Size {
		return fmt.Errorf("%w: what was sealed (%s) is not what the member sent (%s)", errSealing, r.seal.Plain.SHA256, saved.SHA256)
	}
	return nil
}

func (r *runner) sealFrom(src io.Reader) (*crypto.Seal, error) {
	if r.Plain {
		return crypto.SealPlain(r.sealed, src)
	}
	return crypto.SealTo(r.sealed, src, r.Recipients)
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
