package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
)

// verify finds the backup again in every sink that it was delivered to, and opens each copy where that is possible: what a rollback would
// begin with. Without a key that opens it, its read-back is the proof that there is, and that is said.
func (r *guarding) verify(ctx context.Context, taken *backup.Result) error {
	r.place.sinks = slices.DeleteFunc(r.place.sinks, func(s catalog.Named) bool {
		return !slices.ContainsFunc(taken.Sinks, func(d backup.Delivery) bool { return d.Sink == s.Name && d.Err == nil })
	})
	l, err := r.place.list(ctx, r.g.streams)
	if err != nil {
		return err
	}
	if r.entry, err = r.g.resolve(l, string(taken.Manifest.ID)); err != nil {
		return err
	}
	r.out.Backup.Sinks = r.entry.Sinks
	said := fmt.Sprintf("backup %s, revision %d, in %d of %d sinks", r.entry.ID, r.entry.Revision, len(r.entry.Sinks), len(taken.Sinks))
	if r.entry.Manifest.Sealed.Encrypted() && len(r.identities) == 0 {
		r.out.Backup.Verified = "read-back"
		fmt.Fprintf(r.g.err, "lifeboat: %s: read back, decrypted and compared when it was taken; "+
			"whether a key of yours opens it is known only with --identity\n", said)
		return nil
	}
	f := &verifyFlags{flags: r.flags, deep: true, spoolDir: r.spoolDir}
	reports, err := r.reporter(&f.flags, r.g, r.place.bucket)
	if err != nil {
		return err
	}
	v := &verification{flags: f, g: r.g, b: r.place.bucket, reports: reports, unread: map[string]error{}, unusable: map[heldBy]error{}}
	v.heed(l)
	results, err := v.all(ctx, []catalog.Entry{r.entry})
	if err != nil {
		return err
	}
	if err := v.verdict(ctx, results); err != nil {
		return err
	}
	r.out.Backup.Verified = "deep"
	fmt.Fprintf(r.g.err, "lifeboat: %s: opened, checked and compared with the manifest\n", said)
	return nil
}
