package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// verifyAtOnce is how many backups are read at once where nothing is spooled. With --deep it is one: that takes the disk for two files
// and a processor for each.
const verifyAtOnce = 4

type verifyFlags struct {
	flags
	reporting
	deep     bool
	all      bool
	cross    bool
	sample   string
	spoolDir string
	reserve  func(ctx context.Context, bytes int64) (release func(), err error) // room there, where others need some, too; may be nil
}

func newVerify(g *global) *cobra.Command { return (&verifyFlags{}).command(g) }

func (f *verifyFlags) command(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [BACKUP … | --all | --cross-check]",
		Short: "Check that backups in the sinks are what was stored there",
		Long: `Read each BACKUP (an id, latest, latest-verified, before:TIME; latest unless given) from every sink that holds it and
compare size and digest with the manifest. With --deep also decrypt and decompress it, check etcd's own checksum and
every bbolt page, and compare revision, key count and HashKV with the manifest; that needs --identity.

--all reads every backup; one that is bad does not stop the others. --sample 10% reads that share of them: those whose
last verification is the longest ago or that never had one, so that ten such runs read every backup once.

--cross-check compares the members of the live cluster instead (--endpoints): it saves a snapshot of each, one after the
other, and hashes all at one revision. A member that differs is named, and no backup is taken from it until a later
cross-check finds it equal. Members are asked for nothing but snapshots; it needs room for two databases.

A report of the outcome is left beside each backup, signed with --signing-key-file: latest-verified, status and prune
go by it. --no-report leaves none. Only a rehearsal proves that a cluster comes up on it: lifeboat rehearse.

EXIT STATUS
  0 whole in every sink (members: equal), 2 usage, 4 fewer than two members could be compared, 5 a sink could not be
  used, 6 no such backup, 7 damaged (a member: different), 8 no identity opens it, 12 not authentic, 130/143
  interrupted; of several backups the one that weighs most: 12, 7, 8, then the rest`,
		Annotations: map[string]string{onInterrupt: "no backup was changed; reports on those that were read before are there"},
		RunE: func(cmd *cobra.Command, args []string) error {
			job := "verify"
			if f.cross {
				job = "cross-check"
			}
			return f.told(g, cmd, job, func() error { return f.run(g, cmd, args) })
		},
	}
	f.everywhere(cmd)
	f.storage(cmd)
	f.etcd(cmd)
	f.opening(cmd)
	f.signing(cmd)
	f.trusting(cmd)
	f.reporting.register(cmd)
	fl := cmd.Flags()
	f.events.register(fl)
	fl.BoolVar(&f.deep, "deep", false, "decrypt it and look inside, not only at its digest")
	fl.BoolVar(&f.all, "all", false, "every backup of the cluster")
	fl.BoolVar(&f.cross, "cross-check", false, "compare the members of the live cluster instead of backups")
	fl.StringVar(&f.sample, "sample", "", "with --all: only this `SHARE` of the backups, such as 10%")
	fl.StringVar(&f.spoolDir, "spool-dir", os.TempDir(), "with --deep: `DIR` with room for the sealed and the plain file; with --cross-check for two databases")
	return cmd
}

// verifiedJSON is one copy of one backup in `verify -o json`.
type verifiedJSON struct {
	ID         catalog.ID `json:"id"`
	Sink       string     `json:"sink"`
	OK         bool       `json:"ok"`
	Absent     bool       `json:"absent"` // this sink has no manifest of it, so it has no backup there; not an error
	Error      string     `json:"error,omitempty"`
	Deep       bool       `json:"deep"`
	OpenedWith string     `json:"opened_with,omitempty"` // fingerprint of the recipient whose identity opened it
	err        error
}

func (f *verifyFlags) run(g *global, cmd *cobra.Command, selectors []string) error {
	collectEarly()
	switch {
	case f.cross && (f.all || f.deep || f.sample != "" || len(selectors) > 0):
		return &usageError{"--cross-check compares members, and no backups", "leave out the backups, --all, --sample and --deep, and verify them by a command of their own"}
	case f.cross:
		return f.crossCheck(g, cmd)
	}
	v, results, err := f.look(g, cmd, selectors)
	if err != nil {
		return err
	}
	if err := f.print(g, results); err != nil {
		return err
	}
	return v.verdict(cmd.Context(), results)
}

// look reads the backups that are meant.
func (f *verifyFlags) look(g *global, cmd *cobra.Command, selectors []string) (*verification, []verifiedJSON, error) {
	ctx := cmd.Context()
	share, err := f.share(selectors)
	if err != nil {
		return nil, nil, err
	}
	b, reports, err := f.prepare(ctx, g, cmd)
	if err != nil {
		return nil, nil, err
	}
	if reports.off && share < 1 {
		g.warnf("without reports every run with --sample picks the same backups")
	}
	l, err := b.list(ctx, g.streams)
	if err != nil {
		return nil, nil, err
	}
	chosen, results, err := f.choose(g, l, selectors, share)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range chosen {
		if f.deep && e.Manifest.Sealed.Encrypted() && len(f.identities) == 0 {
			return nil, nil, &usageError{fmt.Sprintf("backup %s is encrypted, and no identity is given", e.ID), "give a file with the key to --identity, or verify without --deep"}
		}
	}
	v := &verification{flags: f, g: g, b: b, reports: reports, unread: map[string]error{}, unusable: map[heldBy]error{}}
	v.heed(l)
	done, err := v.all(ctx, chosen)
	if err != nil {
		return nil, nil, err
	}
	results = append(results, done...)
	slices.SortStableFunc(results, func(a, b verifiedJSON) int { return cmp.Compare(a.ID, b.ID) })
	f.found.verified(results, f.deep)
	return v, results, nil
}

// share is which part of the backups is meant.
func (f *verifyFlags) share(selectors []string) (float64, error) {
	switch {
	case f.all && len(selectors) > 0:
		return 0, &usageError{"--all and the name of a backup contradict each other", "leave one of them out"}
	case !f.all && f.sample != "":
		return 0, &usageError{"--sample is a share of all backups", "give --all with it"}
	case f.sample != "":
		return parseSample(f.sample)
	}
	return 1, nil
}

// prepare finds everything that can be wrong before a sink is asked.
func (f *verifyFlags) prepare(ctx context.Context, g *global, cmd *cobra.Command) (*bucket, *reporter, error) {
	b, err := f.bucket(ctx, g, cmd)
	if err != nil {
		return nil, nil, err
	}
	reports, err := f.reporter(&f.flags, g, b)
	if err != nil {
		return nil, nil, err
	}
	if f.deep { // an identity that cannot be loaded says nothing about any backup
		if _, err := f.keys(ctx, g.streams); err != nil {
			return nil, nil, err
		}
	}
	return b, reports, nil
}

// choose finds the backups to read. What exists by its name and cannot be used is a result already where all are meant.
func (f *verifyFlags) choose(g *global, l catalog.Listing, selectors []string, share float64) (chosen []catalog.Entry, bad []verifiedJSON, err error) {
	if !f.all {
		if len(selectors) == 0 {
			selectors = []string{"latest"}
		}
		for _, s := range selectors {
			e, err := g.resolve(l, s)
			if err != nil {
				return nil, nil, err
			}
			chosen = append(chosen, e)
		}
		return chosen, nil, nil
	}
	for _, p := range l.Problems {
		if p.ID != "" && p.Key == catalog.ManifestKey(l.Cluster, p.ID) {
			bad = append(bad, verifiedJSON{ID: p.ID, Sink: p.Sink, Error: oneLine(p.Error()), err: p})
		}
	}
	if len(l.Entries) == 0 && len(bad) == 0 {
		_, err := g.resolve(l, "latest")
		return nil, nil, err
	}
	if len(l.Entries) == 0 {
		return nil, bad, nil
	}
	return sample(l.Entries, share, f.deep), bad, nil
}
