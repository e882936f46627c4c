package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/restore"
)

type verifyFlags struct {
	flags
	deep     bool
	spoolDir string
}

func newVerify(g *global) *cobra.Command {
	f := &verifyFlags{}
	cmd := &cobra.Command{
		Use:   "verify [BACKUP …]",
		Short: "Check that backups in the sinks are what was stored there",
		Long: `Read each BACKUP (an id, latest, before:TIME; latest unless given) from every sink that holds it and compare size and
digest with the manifest. With --deep also decrypt and decompress it, check etcd's own checksum and every bbolt
page, and compare revision, key count and HashKV with the manifest; that needs --identity.

Only a rehearsal proves that a cluster comes up on it: lifeboat rehearse.

EXIT STATUS
  0 whole in every sink, 2 usage, 5 no sink could be used, 6 no such backup, 7 damaged, 8 no identity opens it,
  12 not authentic, 130/143 interrupted`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"latest"}
			}
			return f.run(g, cmd, args)
		},
	}
	f.everywhere(cmd)
	f.storage(cmd)
	f.opening(cmd)
	f.trusting(cmd)
	cmd.Flags().BoolVar(&f.deep, "deep", false, "decrypt it and look inside, not only at its digest")
	cmd.Flags().StringVar(&f.spoolDir, "spool-dir", os.TempDir(), "with --deep: `DIR` with room for the sealed and the plain file")
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
	b, err := f.bucket(ctx, g, cmd)
	if err != nil {
		return err
	}
	l, err := b.list(ctx, g.streams)
	if err != nil {
		return err
	}
	var results []verifiedJSON
	var failed []error
	for _, s := range selectors {
		e, err := g.resolve(l, s)
		if err != nil {
			return err
		}
		if f.deep && e.Manifest.Sealed.Encrypted() && len(f.identities) == 0 {
			return &usageError{fmt.Sprintf("backup %s is encrypted, and no identity is given", e.ID), "give a file with the key to --identity, or verify without --deep"}
		}
		for _, sink := range b.sinks {
			if !slices.Contains(e.Sinks, sink.Name) {
				results = append(results, verifiedJSON{ID: e.ID, Sink: sink.Name, Absent: true})
				continue
			}
			v, err := f.verify(ctx, g, e, sink)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				failed = append(failed, err)
			}
			results = append(results, v)
		}
	}
	if err := f.print(g, results); err != nil {
		return err
	}
	return errors.Join(failed...)
}

// verify checks one copy.
func (f *verifyFlags) verify(ctx context.Context, g *global, e catalog.Entry, sink catalog.Named) (verifiedJSON, error) {
	v := verifiedJSON{ID: e.ID, Sink: sink.Name, Deep: f.deep}
	bar := newProgress(g.err)
	defer bar.done()
	var err error
	if f.deep {
		v.OpenedWith, err = f.lookInside(ctx, g, e, sink, bar)
	} else {
		err = catalog.VerifyDigest(ctx, sink, e.Manifest, func(done, total int64) { bar.at("verify", done, total) })
	}
	if v.OK = err == nil; !v.OK {
		v.Error, v.err = oneLine(err.Error()), err
	}
	return v, err
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
