package restore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Verify opens the copy of a backup that one sink holds and looks inside, as Run does before it makes anything: digest, decryption,
// etcd's own checksum, every bbolt page, revision, live keys and HashKV against the manifest. dir is a folder with room for the
// plain file; nothing stays there. It tells the fingerprint of the key that opened it, "" if it was not encrypted.
//
// Errors are those of Run, and *UsageError if it takes an identity and Deps has none. Deps.Sinks is not used.
func Verify(ctx context.Context, e catalog.Entry, sink catalog.Named, dir string, d Deps) (openedWith string, err error) {
	d = d.settled()
	d.Sinks = []catalog.Named{{Name: sink.Name, Sink: current{sink.Sink}}}
	r := &runner{Deps: d, plan: &Plan{Source: FromBackup(e, string(e.ID))}, result: &Result{}}
	if err := r.plan.checkIdentity(d.Identities); err != nil {
		return "", err
	}
	if err := r.unlock(ctx); err != nil {
		return "", fmt.Errorf("the copy in %s: %w", sink.Name, err)
	}
	if r.stage, err = newStage(dir, "lifeboat-verify", d.named); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.look(ctx, r.stage.scratch); err != nil {
		if errors.Is(err, catalog.ErrDamaged) {
			if at, ok := catalog.WholeVersion(ctx, sink, e.Manifest); ok {
				err = fmt.Errorf("%w; somebody has overwritten or hidden it, and restore takes what it was before, which is whole: %s", err, at.Name)
			}
		}
		return r.result.OpenedWith, fmt.Errorf("the copy in %s: %w", sink.Name, err)
	}
	return r.result.OpenedWith, nil
}

// current is a sink without its past: what is verified is what everybody sees.
type current struct{ sinks.Sink }

// look brings the plain database into a file that create makes, and inspects it.
func (r *runner) look(ctx context.Context, create func() (*os.File, error)) error {
	plain, err := create()
	if err != nil {
		return err
	}
	r.files = []*os.File{plain}
	r.since = time.Now()
	if err := r.bring(ctx); err != nil {
		return err
	}
	r.enter(StepInspect, 0)
	info, err := snapshot.Inspect(ctx, plain, r.lookFor())
	if err != nil {
		return err
	}
	return r.compare(info)
}
