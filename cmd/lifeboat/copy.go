package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks/open"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

type copyFlags struct {
	flags
	to       string
	all      bool
	spoolDir string
}

func newCopy(g *global) *cobra.Command {
	f := &copyFlags{}
	cmd := &cobra.Command{
		Use:   "copy (BACKUP … | --all) --to URL",
		Short: "Copy backups from one sink to another as they are",
		Long: `Copy each BACKUP (an id, latest, latest-verified, before:TIME) or, with --all, every backup of the cluster from the sinks of
--sink or the configuration into the one of --to, which is a URL or the name of a sink in the configuration (with its
credentials). The sealed bytes are copied as they are, and no key is needed: they are compared with the manifest on
their way and read back where they arrive. Holds, acceptances, reports and what key rewrap left go along; the
manifest goes last, byte for byte, so its signature holds.

What is there already is left alone and not read again, so it can be run again at any time: lifeboat verify reads it.
Only a copy that the newest verification of it found damaged is read, and told. What is there and different is never
overwritten. A damaged copy is passed over for the next sink that has the backup; where the marks of a sink cannot be
read, a backup is not copied, because one may be a hold; nor is it where a hold is damaged, or not signed by a trusted key. Where keys are trusted, only what they signed is copied. --all carries the whole history over: lineages stay accepted, latest means the same.

EXIT STATUS
  0 all of them are there, 2 usage, 3 some are not, or a sink they may also be in could not be read, 5 a sink could
  not be used, 6 no such backup, 7 damaged here, or other bytes are there, 12 not authentic here, or another manifest
  is there, 130/143 interrupted. Where all that fails are damaged copies there, it is 7, not 3`,
		Annotations: map[string]string{onInterrupt: "what was copied before is whole; run it again for the rest"},
		RunE:        func(cmd *cobra.Command, args []string) error { return f.run(g, cmd, args) },
	}
	f.everywhere(cmd)
	f.storage(cmd)
	f.trusting(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.to, "to", "", "where to: the `URL` of a sink, or its name in the configuration")
	fl.BoolVar(&f.all, "all", false, "every backup of the cluster, oldest first")
	fl.StringVar(&f.spoolDir, "spool-dir", os.TempDir(), "`DIR` with room for one sealed backup")
	return cmd
}

// copiedJSON is one backup in `copy -o json`.
type copiedJSON struct {
	ID      catalog.ID `json:"id"`
	From    string     `json:"from"` // the sink its payload was taken from; empty if it was there already
	To      string     `json:"to"`
	OK      bool       `json:"ok"`
	Already bool       `json:"already"`
	Notes   int        `json:"notes"` // marks, reports and sidecars that were added
	Size    int64      `json:"size"`
	Error   string     `json:"error,omitempty"`
	err     error
	reread  bool // it was there already, and read because a verification had found it damaged
}

func (f *copyFlags) run(g *global, cmd *cobra.Command, selectors []string) error {
	ctx := cmd.Context()
	switch {
	case f.to == "":
		return &usageError{"nowhere is named to copy to", "give the URL of a sink, or its name in the configuration, with --to"}
	case f.all == (len(selectors) > 0):
		return &usageError{"say which backups: either some by name, or --all", "`lifeboat list` names them"}
	}
	b, err := f.bucket(ctx, g, cmd)
	if err != nil {
		return err
	}
	to, err := f.destination(ctx, g)
	if err != nil {
		return err
	}
	b.sinks = slices.DeleteFunc(b.sinks, func(s catalog.Named) bool { return s.Name == to.Name })
	if len(b.sinks) == 0 {
		return &usageError{"there is no sink to copy from but the one to copy to", "name another with --sink"}
	}
	l, err := b.list(ctx, g.streams)
	if err != nil {
		return err
	}
	chosen, err := f.chosen(g, l, selectors)
	if err != nil {
		return err
	}
	room, err := snapshot.NewSpool(f.spoolDir)
	if err != nil {
		return err
	}
	defer room.Close()
	c := &copying{g: g, l: l, copier: catalog.Copier{From: b.sinks, To: to, Trust: b.trust, Room: room.File()}}
	if err := c.all(ctx, chosen); err != nil {
		return err
	}
	c.compare(ctx, chosen)
	if err := f.print(g, c.results); err != nil {
		return err
	}
	return c.verdict(f.all)
}

// destination opens the sink to copy to.
func (f *copyFlags) destination(ctx context.Context, g *global) (catalog.Named, error) {
	place, err := f.place("--to", f.to)
	if err != nil {
		return catalog.Named{}, err
	}
	s, err := open.URL(ctx, place.url, place.options(g))
	if err != nil {
		return catalog.Named{}, fmt.Errorf("--to: %w", err)
	}
	return catalog.Named{Name: fmt.Sprint(s), Sink: s}, nil
}

// chosen are the backups that are meant, oldest first.
func (f *copyFlags) chosen(g *global, l catalog.Listing, selectors []string) ([]catalog.Entry, error) {
	if f.all {
		selectors = nil
		if len(l.Entries) == 0 {
			selectors = []string{"latest"} // says why there is none
		}
	}
	chosen := l.Entries
	if !f.all {
		chosen = nil
	}
	for _, s := range selectors {
		e, err := g.resolve(l, s)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, e)
	}
	return chosen, nil
}

// copying is one run of the command.
type copying struct {
	g       *global
	l       catalog.Listing
	copier  catalog.Copier
	results []copiedJSON
	unsure  []error // what could not be read although something else was copied
}

// all copies one backup after the other. One that fails stops nothing, unless it is the room here that fails.
func (c *copying) all(ctx context.Context, chosen []catalog.Entry) error {
	bar := newProgress(c.g.err)
	defer bar.done()
	for _, e := range chosen {
		c.copier.Progress = bar.at
		done, err := c.copier.Copy(ctx, e)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, catalog.ErrRoom) {
			return fmt.Errorf("copy %s: %w: %w", e.ID, snapshot.ErrSpool, err)
		}
		r := copiedJSON{ID: e.ID, From: done.From, To: c.copier.To.Name, OK: err == nil, Already: done.Already, Notes: done.Notes, Size: e.Sealed.Size, err: err}
		if err != nil {
			r.Error = oneLine(err.Error())
		}
		bar.done()
		for _, missed := range done.Failed {
			c.g.warnf("%v", missed)
			c.unsure = append(c.unsure, missed)
		}
		if done.Ignored > 0 {
			c.g.warnf("%d marks, reports or sidecars of %s were left behind: they are damaged, or not signed by a trusted key", done.Ignored, e.ID)
		}
		c.results = append(c.results, r)
	}
	return nil
}

// compare looks at the destination as a reader will, and says what has another meaning there.
func (c *copying) compare(ctx context.Context, chosen []catalog.Entry) {
	there, err := catalog.List(ctx, []catalog.Named{c.copier.To}, c.l.Cluster, c.copier.Trust)
	if err != nil {
		return // a copy that failed for the same reason says so
	}
	suspect := map[catalog.ID]bool{}
	for _, e := range there.Entries {
		suspect[e.ID] = len(e.Doubts) > 0
		for i := range c.results {
			if r := &c.results[i]; r.ID == e.ID && r.Already && r.err == nil && foundDamaged(e, r.To) {
				c.reread(ctx, e, r)
			}
		}
	}
	for _, e := range chosen {
		if len(e.Doubts) == 0 && suspect[e.ID] {
			c.g.warnf("%s is suspect in %s, because the backup by which its lineage was accepted is not there; copy that too, or accept it there", e.ID, c.copier.To.Name)
		}
	}
	c.tellOverlooked(there)
}

// tellOverlooked warns where what was at the destination began without a look at what is there beside it now, and does not continue it.
func (c *copying) tellOverlooked(there catalog.Listing) {
	for _, e := range there.Entries {
		copied := slices.ContainsFunc(c.results, func(r copiedJSON) bool { return r.ID == e.ID })
		newest := slices.ContainsFunc(there.Lineages(), func(h catalog.LineageState) bool { return h.Newest == e.ID })
		if copied || !newest || len(e.Doubts) == 0 || len(e.Blind) == 0 {
			continue
		}
		latest, _, _ := there.Resolve("latest", c.g.now()) // "" if there is none
		c.g.warnf("%s is suspect in %s beside what was copied there: %s; `latest` means %s there now", e.ID, c.copier.To.Name, strings.Join(catalog.Reasons(e.Blind), "; "), cmp.Or(latest.ID, "none"))
		fmt.Fprintf(c.g.err, "lifeboat: hint: if it follows what was copied: lifeboat accept %s --sink %s\n", e.ID, c.copier.To.Name)
	}
}

// foundDamaged reports whether the newest verification of the copy in a sink failed.
func foundDamaged(e catalog.Entry, sink string) bool {
	for _, report := range slices.Backward(e.Reports) {
		for _, s := range report.Sinks {
			if report.Report == catalog.ReportVerify && s.Sink == sink {
				return !s.OK
			}
		}
	}
	return false
}

// reread finds out whether a copy that was there, and was found damaged once, still is: somebody may have mended it since.
func (c *copying) reread(ctx context.Context, e catalog.Entry, r *copiedJSON) {
	err := catalog.VerifyDigest(ctx, c.copier.To, e.Manifest, nil)
	if errors.Is(err, catalog.ErrDamaged) {
		err = &catalog.MisplacedError{Sink: r.To, Key: e.Sealed.Key}
	}
	if r.reread, r.err = true, err; err != nil {
		r.OK, r.Error = false, oneLine(err.Error())
	}
}

func (c *copying) verdict(all bool) error {
	var failed []error
	for _, r := range c.results {
		if r.err != nil {
			failed = append(failed, r.err)
		}
	}
	sound := func(err error) bool { return !errors.As(err, new(*catalog.MisplacedError)) }
	if len(failed) > 0 && (len(failed) == len(c.results) || !slices.ContainsFunc(failed, sound)) {
		return errors.Join(failed...)
	}
	if len(failed) > 0 {
		return &partlyDone{
			fmt.Sprintf("%d of %d backups are not in %s: %s", len(failed), len(c.results), c.copier.To.Name, oneLine(errors.Join(failed...).Error())),
			"what was copied is whole; run it again once this is mended", failed,
		}
	}
	if all { // behind what could not be read there may be backups, or marks
		for _, p := range c.l.Problems {
			c.unsure = append(c.unsure, p)
		}
	}
	if len(c.unsure) > 0 {
		return &partlyDone{
			fmt.Sprintf("what was found is in %s, but not everything could be read: %v", c.copier.To.Name, c.unsure[0]),
			"run it again once that is mended; verify tells which copies are damaged", c.unsure,
		}
	}
	return nil
}

func (f *copyFlags) print(g *global, results []copiedJSON) error {
	if f.output == "json" {
		return g.printJSON(results)
	}
	rows := [][]string{{"BACKUP", "SIZE", "RESULT"}}
	for _, r := range results {
		result := "copied from " + r.From
		switch {
		case !r.OK:
			result = "FAILED: " + r.Error
		case r.Already && r.reread:
			result = "there already, found damaged once, and whole now"
		case r.Already:
			result = "there already, not read again (lifeboat verify reads it)"
		case r.From == "":
			result = "was there without its manifest, and whole"
		}
		if r.OK && r.Notes > 0 {
			result += fmt.Sprintf(", with %d marks, reports or sidecars", r.Notes)
		}
		rows = append(rows, []string{string(r.ID), bytesText(r.Size), result})
	}
	return g.table(rows)
}
