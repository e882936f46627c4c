package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/restore"
)

// planFlags are what `restore` and `rehearse` have in common: which backup, what opens it, and which refusals are overridden.
type planFlags struct {
	flags
	raw                  bool
	maxAge               time.Duration
	etcdVersion          string
	acceptSuspect        bool
	acceptStorageVersion bool
	ignoreFreeSpace      bool
}

func (f *planFlags) register(cmd *cobra.Command) {
	f.everywhere(cmd)
	f.storage(cmd)
	f.opening(cmd)
	f.trusting(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.raw, "raw", false, "the file is a member/snap/db, without etcd's checksum at its end")
	fl.DurationVar(&f.maxAge, "max-age", 0, "refuse a backup older than this (0: any)")
	fl.BoolVar(&f.acceptSuspect, "accept-suspect", false, "accept a backup that does not continue its cluster's history")
	fl.BoolVar(&f.acceptStorageVersion, "accept-storage-version", false, "remove the mark of a newer storage version so that an older etcd starts")
	fl.BoolVar(&f.ignoreFreeSpace, "ignore-free-space", false, "begin although the disk seems too small")
}

// plan finds the source and builds the plan that `restore` and `rehearse` begin from, with the sinks to fetch from.
func (f *planFlags) plan(ctx context.Context, g *global, cmd *cobra.Command, asked string) (restore.Plan, restore.Deps, error) {
	var deps restore.Deps
	if f.maxAge < 0 {
		return restore.Plan{}, deps, &usageError{fmt.Sprintf("--max-age %s is negative", f.maxAge), "use a duration such as 26h"}
	}
	source, trust, head := restore.Source{}, catalog.Trust{}, int64(0)
	if isFile(asked) {
		if f.maxAge > 0 {
			return restore.Plan{}, deps, &usageError{"--max-age cannot be held against a file, which does not say when it was taken", "leave it out, and judge by the revision"}
		}
		if _, err := f.settle(cmd); err != nil {
			return restore.Plan{}, deps, err
		}
		if f.trustedKeysFile != "" && !f.acceptUnsigned {
			return restore.Plan{}, deps, &restore.Refusal{
				What: asked + " is a file, which nobody has signed, and keys are trusted",
				Safe: "restore a backup from its sink", Override: "--accept-unsigned", Err: catalog.ErrNotAuthentic,
			}
		}
		var err error
		if source, err = restore.FromFile(ctx, asked, f.raw); err != nil {
			return restore.Plan{}, deps, err
		}
	} else {
		b, err := f.bucket(ctx, g, cmd)
		if err != nil {
			return restore.Plan{}, deps, orFile(asked, err)
		}
		l, err := b.list(ctx, g.streams)
		if err != nil {
			return restore.Plan{}, deps, err
		}
		e, err := g.resolve(l, asked)
		e, err = b.unveiled(ctx, g, asked, e, err)
		if err != nil {
			return restore.Plan{}, deps, orFile(asked, err)
		}
		e.FindPayload(ctx, b.sinks) // --dry-run fetches nothing, and is to tell what restore would meet
		g.tellFaults(ctx, b, l, e)
		source, trust, deps.Sinks, head = restore.FromBackup(e, asked), b.trust, b.sinks, headOf(l, e)
	}
	var err error
	if deps.Identities, err = f.keys(ctx, g.streams); err != nil {
		return restore.Plan{}, deps, err
	}
	return restore.Plan{
		Source: source, Trust: trust, Head: head, MaxAge: f.maxAge, EtcdVersion: f.etcdVersion,
		AcceptSuspect: f.acceptSuspect, AcceptStorageVersion: f.acceptStorageVersion, IgnoreFreeSpace: f.ignoreFreeSpace,
	}, deps, nil
}

// headOf is the highest revision that the backup's cluster is known to have reached: that of any backup of its lineage.
func headOf(l catalog.Listing, e catalog.Entry) int64 {
	var head int64
	for _, other := range l.Entries {
		if other.Lineage == e.Lineage {
			head = max(head, other.Revision)
		}
	}
	return head
}

// isFile tells a path from a selector: ids, latest, latest-verified and before:TIME hold no slash. A file beside us that is called like one must
// not take the place of a backup in the bucket, so a path needs a slash: ./snapshot.db.
func isFile(asked string) bool { return strings.ContainsRune(asked, '/') }

// orFile adds to a selector that fits nothing that a file of that name lies here.
func orFile(asked string, err error) error {
	if info, stat := os.Stat(asked); err != nil && stat == nil && info.Mode().IsRegular() {
		return fmt.Errorf("%w (the file %s is meant? write ./%s)", err, asked, asked)
	}
	return err
}
