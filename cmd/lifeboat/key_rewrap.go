package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/restore"
)

type rewrapFlags struct {
	flags
	to  string
	all bool
}

func newKeyRewrap(g *global) *cobra.Command {
	f := &rewrapFlags{}
	cmd := &cobra.Command{
		Use:   "rewrap (BACKUP … | --all) --identity FILE --to RECIPIENTS-FILE",
		Short: "Give backups that are there to recipients that came later",
		Long: `Give each BACKUP (an id, latest, latest-verified, before:TIME) or, with --all, every backup of the cluster to the
recipients in the file of --to. Of the backup only the first kilobytes are read; its key is sealed to each new
recipient in a small file beside it, in every sink that holds it. The backup itself is not touched, and what is there
already is left as it is, so it can be run again: what cannot be such a file is told, and whether one opens the backup
only verify --all --deep with the new identity proves. restore, verify --deep and rehearse open with either; stock age cannot use these small files.

It revokes nothing: who had an old identity and a copy of a backup can still open it. New backups are sealed to the
recipients of --recipients-file on the host that makes them: change that, too.

EXIT STATUS
  0 every backup was given to every recipient in every sink that holds it, 2 usage, 3 in some only, 5 no sink could be
  used, 6 no such backup, 7 damaged, 8 no identity opens it, 12 not authentic, 130/143 interrupted`,
		Annotations: map[string]string{onInterrupt: "some backups may have been given to the new recipients; run it again"},
		RunE:        func(cmd *cobra.Command, args []string) error { return f.run(g, cmd, args) },
	}
	f.everywhere(cmd)
	f.storage(cmd)
	f.opening(cmd)
	f.trusting(cmd)
	cmd.Flags().StringVar(&f.to, "to", "", "`FILE` with the recipients that backups are given to")
	cmd.Flags().BoolVar(&f.all, "all", false, "every backup of the cluster")
	return cmd
}

// rewrappedJSON is one recipient of one backup in one sink, in `key rewrap -o json`.
type rewrappedJSON struct {
	ID        catalog.ID `json:"id"`
	Sink      string     `json:"sink"`
	Recipient string     `json:"recipient"` // fingerprint
	OK        bool       `json:"ok"`
	Written   bool       `json:"written"` // false: it was sealed to the recipient already, or given to it before
	Error     string     `json:"error,omitempty"`
	unproven  bool       // a sidecar was there, and nobody has opened it
}

func (f *rewrapFlags) run(g *global, cmd *cobra.Command, selectors []string) error {
	ctx := cmd.Context()
	switch {
	case f.to == "":
		return &usageError{"nobody is named to give backups to", "give a file of recipients with --to, for example the FILE.pub of `lifeboat key new FILE`"}
	case f.all == (len(selectors) > 0):
		return &usageError{"say which backups: either some by name, or --all", "`lifeboat list` names them"}
	}
	b, err := f.bucket(ctx, g, cmd)
	if err != nil {
		return err
	}
	r := &rewrapping{g: g, sinks: b}
	if r.to, err = crypto.LoadRecipients(f.to); err != nil {
		return err
	}
	if len(f.identities) == 0 {
		return &usageError{"no identity is given, and giving a backup on takes opening it first", "give a file with a key that opens it to --identity"}
	}
	if r.ids, err = f.keys(ctx, g.streams); err != nil {
		return err
	}
	l, err := b.list(ctx, g.streams)
	if err != nil {
		return err
	}
	entries, err := f.chosen(g, l, selectors)
	if err != nil {
		return err
	}
	if err := r.weakens(entries); err != nil {
		return err
	}
	for _, e := range entries {
		if r.rewrap(ctx, e); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if err := r.print(f.output); err != nil {
		return err
	}
	return r.outcome(l, f.all)
}

// chosen are the backups that are meant, those that nobody needs a key for left out.
func (f *rewrapFlags) chosen(g *global, l catalog.Listing, selectors []string) ([]catalog.Entry, error) {
	entries := l.Entries
	if !f.all {
		entries = nil
	}
	for _, s := range selectors {
		e, err := g.resolve(l, s)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		if len(l.Problems) > 0 {
			return nil, nothingUsable(l)
		}
		return nil, notFound{fmt.Errorf("%w: there is none", catalog.ErrNotFound)}
	}
	return slices.DeleteFunc(slices.Clone(entries), func(e catalog.Entry) bool {
		if !e.Manifest.Sealed.Encrypted() {
			g.warnf("%s is not encrypted: anyone can open it", e.ID)
		}
		return !e.Manifest.Sealed.Encrypted()
	}), nil
}

// rewrapping is one run of the command.
type rewrapping struct {
	g       *global
	sinks   *bucket
	to      []crypto.Recipient
	ids     []age.Identity
	results []rewrappedJSON
	failed  []error
}

// weakens refuses to give to a classic recipient what was sealed against future quantum computers: the weakest recipient decides.
func (r *rewrapping) weakens(entries []catalog.Entry) error {
	for _, e := range entries {
		if slices.Contains(e.Manifest.Sealed.Stanzas, "mlkem768x25519") && !r.to[0].PostQuantum() {
			return &usageError{
				fmt.Sprintf("%s is sealed to hybrid recipients, and a classic one would make it readable to a future quantum computer", e.ID),
				"give it to a hybrid recipient (age1pq1…), as `lifeboat key new` makes",
			}
		}
	}
	return nil
}

// rewrap gives one backup to every recipient that cannot open it yet, in every sink that holds it.
func (r *rewrapping) rewrap(ctx context.Context, e catalog.Entry) {
	lacking := make(map[string][]crypto.Recipient) // by sink
	for _, s := range r.sinks.holding(e) {
		there, err := catalog.SidecarFingerprints(ctx, s, e.Cluster, e.ID)
		for _, to := range r.to {
			fp := to.Fingerprint()
			switch {
			case err != nil:
				r.note(e.ID, s.Name, fp, false, err)
			case slices.Contains(e.Manifest.Sealed.Fingerprints, fp):
				r.note(e.ID, s.Name, fp, false, nil)
			case slices.Contains(there, fp):
				r.given(ctx, s, e, to)
			default:
				lacking[s.Name] = append(lacking[s.Name], to)
			}
		}
	}
	if len(lacking) == 0 {
		return
	}
	sidecars, err := r.seal(ctx, e)
	for _, s := range r.sinks.holding(e) {
		for _, to := range lacking[s.Name] {
			fp := to.Fingerprint()
			err := err
			if err == nil {
				err = catalog.PutSidecar(ctx, s, e.Cluster, e.ID, fp, sidecars[fp])
			}
			if errors.Is(err, fs.ErrExist) { // another run was faster
				r.given(ctx, s, e, to)
				continue
			}
			r.note(e.ID, s.Name, fp, err == nil, err)
		}
	}
}

// given notes what is to be thought of a sidecar that is there already. Whether it opens the backup only the recipient's identity can tell.
func (r *rewrapping) given(ctx context.Context, s catalog.Named, e catalog.Entry, to crypto.Recipient) {
	fp := to.Fingerprint()
	data, err := catalog.ReadSidecar(ctx, s, e.Cluster, e.ID, fp)
	if err == nil {
		if err = crypto.CheckSidecar(data, to, catalog.SidecarName(e.Cluster, e.ID)); err != nil {
			err = &badSidecar{s.Name, catalog.SidecarKey(e.Cluster, e.ID, fp), err}
		}
	}
	r.note(e.ID, s.Name, fp, false, err)
	r.results[len(r.results)-1].unproven = err == nil
}

// badSidecar is something in the place of a sidecar that is none. Nothing overwrites it.
type badSidecar struct {
	sink, key string
	err       error
}

func (e *badSidecar) Error() string {
	return fmt.Sprintf("%s in %s is no sidecar that opens the backup: %v", e.key, e.sink, e.err)
}
func (e *badSidecar) Unwrap() error { return e.err }
func (e *badSidecar) Hint() string {
	return fmt.Sprintf("remove %s in %s with the store's own tools, and run it again: the backup itself is not touched by that", e.key, e.sink)
}

// seal makes the sidecar of a backup for every recipient, by fingerprint.
func (r *rewrapping) seal(ctx context.Context, e catalog.Entry) (map[string][]byte, error) {
	u := restore.Unlocking{Entry: e, Sinks: r.sinks.holding(e), Identities: r.ids, Log: r.g.logger()}
	key, err := u.Find(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string][]byte)
	for _, to := range r.to {
		if all[to.Fingerprint()], err = key.SealFor(to, catalog.SidecarName(e.Cluster, e.ID)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (r *rewrapping) note(id catalog.ID, sink, recipient string, written bool, err error) {
	j := rewrappedJSON{ID: id, Sink: sink, Recipient: recipient, OK: err == nil, Written: written}
	if err != nil {
		j.Error = oneLine(err.Error())
		if !slices.ContainsFunc(r.failed, func(other error) bool { return other.Error() == err.Error() }) {
			r.failed = append(r.failed, err)
		}
	}
	r.results = append(r.results, j)
}

func (r *rewrapping) print(format string) error {
	if format == "json" {
		return r.g.printJSON(append([]rewrappedJSON{}, r.results...))
	}
	rows := [][]string{{"BACKUP", "SINK", "RECIPIENT", "RESULT"}}
	for _, j := range r.results {
		result := "can open it already"
		switch {
		case !j.OK:
			result = "FAILED: " + j.Error
		case j.unproven:
			result = "a sidecar is there already, not proven (verify --deep with the new identity proves it)"
		case j.Written:
			result = "can open it now"
		}
		rows = append(rows, []string{string(j.ID), j.Sink, j.Recipient, result})
	}
	return r.g.table(rows)
}

// outcome says what the table does not: that nobody lost access, and what could not be done.
func (r *rewrapping) outcome(l catalog.Listing, all bool) error {
	done := slices.ContainsFunc(r.results, func(j rewrappedJSON) bool { return j.OK })
	if done {
		fmt.Fprintln(r.g.err, "lifeboat: this revokes nothing: an old identity opens what it could open before; new backups go to the recipients file of the host that makes them")
	}
	failed := r.failed
	for _, p := range l.Problems {
		switch {
		case p.Key == "":
			failed = append(failed, fmt.Errorf("what a sink holds is unknown: %w", p))
		case all && p.ID != "" && p.Key == catalog.ManifestKey(l.Cluster, p.ID) && !errors.Is(p, catalog.ErrOverwritten): // it was meant, too
			failed = append(failed, p)
		}
	}
	if len(failed) > 0 && done {
		return &partlyDone{oneLine(errors.Join(failed...).Error()), "run it again once that is mended: what is done is left as it is", failed}
	}
	return errors.Join(failed...)
}
