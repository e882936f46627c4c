package rehearsal

import (
	"context"
	"fmt"
	"time"
)

// withBump restores the same backup once more, as a restore for real does it where the backup holds Kubernetes: with the
// revision raised and all history before compacted. Without Kubernetes a restore has no bump, and nothing is to be asked.
func (r *run) withBump(ctx context.Context) error {
	if !r.o.Plan.Source.Kubernetes {
		r.report.check(CheckBump, "", Untested, "the backup holds no Kubernetes, so a restore leaves its revision as it is")
		if r.o.APIServer != "" {
			r.report.check(CheckAPIServer, "", Untested, "the backup holds no Kubernetes: it has no key below %s", registry)
		}
		return nil
	}
	began := time.Now()
	m, err := r.make(ctx, "bumped", false)
	if err != nil {
		if ctx.Err() == nil && damagedBackup(err) {
			r.report.check(CheckBump, "", Failed, "%s", err)
			return failed("%s", err)
		}
		return err
	}
	if _, _, err := r.boot(ctx, m); err != nil {
		return err
	}
	old, head := r.want.Revision, m.result.Revision
	for _, q := range []question{
		{CheckBump, func(ctx context.Context) (string, error) {
			return fmt.Sprintf("%d keys on every member at revision %d, which was %d", r.keys.total, head, old), keysAt(ctx, r.cluster, head, r.keys)
		}},
		{CheckOldWatch, func(ctx context.Context) (string, error) {
			return fmt.Sprintf("whoever goes on watching from revision %d is told that it is compacted, by every member", old+1), oldWatch(ctx, r.cluster, old)
		}},
		{CheckRevision, func(ctx context.Context) (string, error) { return r.advances(ctx, head) }},
	} {
		if err := r.ask(ctx, q); err != nil {
			return err
		}
	}
	r.report.phase("with-bump", "", time.Since(began), false)
	if r.o.APIServer != "" {
		if err := r.kubernetes(ctx, m); err != nil {
			return err
		}
	}
	return r.clear(m)
}

// advances writes a canary and wants its revision above the raised one.
func (r *run) advances(ctx context.Context, head int64) (string, error) {
	rev, err := canary(ctx, r.cluster)
	if err != nil {
		return "", err
	}
	if rev <= head {
		return "", failed("a new write got revision %d, which is not above %d", rev, head)
	}
	return fmt.Sprintf("a new write got revision %d", rev), nil
}
