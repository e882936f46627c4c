package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/snapshot"
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
}

func newVerify(g *global) *cobra.Command {
	f := &verifyFlags{}
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
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(g, cmd, args) },
	}
	f.everywhere(cmd)
	f.storage(cmd)
	f.etcd(cmd)
	f.opening(cmd)
	f.signing(cmd)
	f.trusting(cmd)
	f.reporting.register(cmd)
	fl := cmd.Flags()
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
	ctx := cmd.Context()
	share := 1.0
	var err error
	switch {
	case f.cross && (f.all || f.deep || f.sample != "" || len(selectors) > 0):
		return &usageError{"--cross-check compares members, and no backups", "leave out the backups, --all, --sample and --deep, and verify them by a command of their own"}
	case f.cross:
		return f.crossCheck(g, cmd)
	case f.all && len(selectors) > 0:
		return &usageError{"--all and the name of a backup contradict each other", "leave one of them out"}
	case !f.all && f.sample != "":
		return &usageError{"--sample is a share of all backups", "give --all with it"}
	case f.sample != "":
		if share, err = parseSample(f.sample); err != nil {
			return err
		}
	}
	b, err := f.bucket(ctx, g, cmd)
	if err != nil {
		return err
	}
	reports, err := f.reporter(&f.flags, g, b)
	if err != nil {
		return err
	}
	if reports.off && share < 1 {
		g.warnf("without reports every run with --sample picks the same backups")
	}
	l, err := b.list(ctx, g.streams)
	if err != nil {
		return err
	}
	chosen, results, err := f.choose(g, l, selectors, share)
	if err != nil {
		return err
	}
	for _, e := range chosen {
		if f.deep && e.Manifest.Sealed.Encrypted() && len(f.identities) == 0 {
			return &usageError{fmt.Sprintf("backup %s is encrypted, and no identity is given", e.ID), "give a file with the key to --identity, or verify without --deep"}
		}
	}
	v := &verification{flags: f, g: g, b: b, reports: reports, unread: map[string]error{}, unusable: map[heldBy]error{}}
	v.heed(l)
	done, err := v.all(ctx, chosen)
	if err != nil {
		return err
	}
	results = append(results, done...)
	slices.SortStableFunc(results, func(a, b verifiedJSON) int { return cmp.Compare(a.ID, b.ID) })
	if err := f.print(g, results); err != nil {
		return err
	}
	return v.verdict(ctx, results)
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

// verification is one run over some backups.
type verification struct {
	flags   *verifyFlags
	g       *global
	b       *bucket
	reports *reporter
	unread  map[string]error // sinks that could not be listed: what they hold is unknown
	// unusable are the copies whose manifest is there and cannot be used, so that nobody takes them for absent.
	unusable map[heldBy]error
	done     atomic.Int64 // bytes
	total    int64
}

// heldBy is a backup in one sink.
type heldBy struct {
	id   catalog.ID
	sink string
}

// heed remembers what could not be listed or read.
func (v *verification) heed(l catalog.Listing) {
	for _, p := range l.Problems {
		switch {
		case p.Key == "":
			v.unread[p.Sink] = p
		case p.ID != "" && p.Key == catalog.ManifestKey(l.Cluster, p.ID) && !v.flags.all: // with --all choose tells of them
			v.unusable[heldBy{p.ID, p.Sink}] = p
		}
	}
}

// all reads every copy of every backup, several backups at once where that takes no disk. A copy that fails stops nothing.
func (v *verification) all(ctx context.Context, chosen []catalog.Entry) ([]verifiedJSON, error) {
	for _, e := range chosen {
		v.total += e.Manifest.Sealed.Size * int64(len(e.Sinks))
	}
	bar := newProgress(v.g.err)
	defer bar.done()
	perBackup := make([][]verifiedJSON, len(chosen))
	var g errgroup.Group
	g.SetLimit(verifyAtOnce)
	if v.flags.deep {
		g.SetLimit(1)
	}
	for i, e := range chosen {
		g.Go(func() error {
			if ctx.Err() == nil {
				perBackup[i] = v.backup(ctx, e, bar)
			}
			return nil // kept in its place
		})
	}
	_ = g.Wait() // always nil, see above
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return slices.Concat(perBackup...), nil
}

// backup reads every copy of one backup and leaves a report.
func (v *verification) backup(ctx context.Context, e catalog.Entry, bar *progress) (results []verifiedJSON) {
	began := time.Now()
	for _, sink := range v.b.sinks {
		switch {
		case v.unread[sink.Name] != nil:
		case !slices.Contains(e.Sinks, sink.Name):
			r := verifiedJSON{ID: e.ID, Sink: sink.Name, Absent: true}
			if err := v.unusable[heldBy{e.ID, sink.Name}]; err != nil {
				r.Absent, r.Error, r.err = false, oneLine(err.Error()), err
			}
			results = append(results, r)
		default:
			results = append(results, v.copy(ctx, e, sink, bar))
		}
	}
	if r, ok := reportOf(results, v.flags.deep); ok {
		r.TookSeconds = time.Since(began).Seconds()
		v.reports.write(ctx, e, r)
	}
	return results
}

// copy checks one copy.
func (v *verification) copy(ctx context.Context, e catalog.Entry, sink catalog.Named, bar *progress) verifiedJSON {
	r := verifiedJSON{ID: e.ID, Sink: sink.Name, Deep: v.flags.deep}
	if v.flags.deep {
		r.OpenedWith, r.err = v.flags.lookInside(ctx, v.g, e, sink, bar)
	} else {
		var before int64
		r.err = catalog.VerifyDigest(ctx, sink, e.Manifest, func(done, _ int64) {
			bar.at("verify", v.done.Add(done-before), v.total)
			before = done
		})
	}
	if r.OK = r.err == nil; !r.OK {
		r.Error = oneLine(r.err.Error())
	}
	return r
}

// lookInside opens one copy and compares what is in it with the manifest.
func (f *verifyFlags) lookInside(ctx context.Context, g *global, e catalog.Entry, sink catalog.Named, bar *progress) (openedWith string, err error) {
	ids, err := f.keys(ctx, g.streams)
	if err != nil {
		return "", err
	}
	return restore.Verify(ctx, e, sink, f.spoolDir, restore.Deps{
		Identities: ids, Progress: func(s restore.Step, done, total int64) { bar.at(string(s), done, total) },
	})
}

// reportOf is what was found out about the copies of one backup; not ok if that is nothing. A copy that could not be read is neither
// whole nor damaged, and says nothing.
func reportOf(results []verifiedJSON, deep bool) (r catalog.Report, ok bool) {
	r = catalog.Report{Report: catalog.ReportVerify, OK: true, Deep: deep}
	var bad []string
	for _, v := range results {
		noKey := errors.As(v.err, new(*crypto.NoIdentityError))
		switch {
		case v.Absent:
			continue
		case noKey: // the digest is looked at before it is opened
			r.Deep, r.Unopened = false, true
		case v.OK:
			r.OpenedWith = v.OpenedWith
		case damaged(v.err):
			r.OK = false
			bad = append(bad, v.Sink+": "+v.Error)
		default:
			continue
		}
		r.Sinks = append(r.Sinks, catalog.SinkResult{Sink: v.Sink, OK: v.OK || noKey, Error: v.Error})
	}
	switch {
	case !r.OK:
		r.Detail = strings.Join(bad, "; ")
	case r.Unopened:
		r.Detail = "its digest is right in every sink that was read; no identity at hand opens it"
	case r.Deep:
		r.Detail = "opened, checked and compared with the manifest in every sink that was read"
	default:
		r.Detail = "its digest is right in every sink that was read"
	}
	return r, len(r.Sinks) > 0
}

// damaged reports whether an error says that bytes are not what was written.
func damaged(err error) bool {
	return errors.Is(err, crypto.ErrDamaged) || errors.Is(err, catalog.ErrDamaged) || errors.Is(err, snapshot.ErrDamaged)
}

// verdict is the error of a run: of several the one that weighs most.
func (v *verification) verdict(ctx context.Context, results []verifiedJSON) error {
	var failed []error
	for _, r := range results {
		if r.err != nil {
			failed = append(failed, r.err)
		}
	}
	for _, s := range v.b.sinks {
		if err := v.unread[s.Name]; err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) < 2 {
		return errors.Join(failed...)
	}
	weight := func(err error) int {
		order := []int{exitNotAuthetic, exitRefused, exitDamaged, exitNoKey, exitNoBackup, exitSink}
		if i := slices.Index(order, exitCode(ctx, err)); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(failed, func(a, b error) int { return cmp.Compare(weight(a), weight(b)) })
	return fmt.Errorf("%d copies or sinks are not as they should be, first: %w", len(failed), failed[0])
}

func (f *verifyFlags) print(g *global, results []verifiedJSON) error {
	if f.output == "json" {
		return g.printJSON(results)
	}
	rows := [][]string{{"BACKUP", "SINK", "RESULT"}}
	for _, v := range results {
		result := "whole"
		switch {
		case v.Absent:
			result = "not there: this sink has no manifest of it"
		case errors.As(v.err, new(*crypto.NoIdentityError)):
			result = "NOT OPENED: " + v.Error
		case !v.OK:
			result = "FAILED: " + v.Error
		case v.Deep:
			result = "whole; opened, checked and compared with the manifest"
		}
		rows = append(rows, []string{string(v.ID), v.Sink, result})
	}
	return g.table(rows)
}
