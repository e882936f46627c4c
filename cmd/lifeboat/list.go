package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

func newList(g *global) *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the backups in the sinks, oldest first",
		Long: `List every backup that has a manifest, oldest first, merged over all sinks. REMARKS say where a payload is missing
or was found damaged.

EXIT STATUS
  0 listed (also when there is none), 2 usage, 5 no sink could be read; where something is there and nothing of it can
  be used, what is wrong with it: 7 damaged, 12 not authentic`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			b, err := f.bucket(ctx, g, cmd)
			if err != nil {
				return err
			}
			l, err := b.list(ctx, g.streams)
			if err != nil {
				return err
			}
			b.findPayloads(ctx, g.streams, &l)
			veiled := catalog.Hidden(ctx, b.sinks, b.cluster)
			g.tellVeiled(veiled)
			if f.output == "json" {
				err := g.printJSON(newListingJSON(l, veiled))
				if len(l.Entries) == 0 && len(l.Problems) > 0 {
					err = errors.Join(err, nothingUsable(l))
				}
				return err
			}
			return g.printList(l)
		},
	}
	f.everywhere(cmd)
	f.storage(cmd)
	f.trusting(cmd)
	return cmd
}

type problemJSON struct {
	Sink  string `json:"sink"`
	Key   string `json:"key,omitempty"`
	Error string `json:"error"`
}

// listingJSON is `list -o json`. A backup is its manifest with what is known beside it, as in `show -o json`.
type listingJSON struct {
	Cluster  string        `json:"cluster"`
	Backups  []listedJSON  `json:"backups"`
	Problems []problemJSON `json:"problems"`
	Gaps     []catalog.ID  `json:"gaps"`   // predecessors that are not there: pruned, or hidden
	Hidden   []catalog.ID  `json:"hidden"` // behind a delete marker in some sink
}

// listedJSON is a backup with what is known of its copies.
type listedJSON struct {
	catalog.Entry
	Faults []faultJSON `json:"faults"`
}

func newListingJSON(l catalog.Listing, veiled []catalog.Veiled) listingJSON {
	out := listingJSON{l.Cluster, []listedJSON{}, []problemJSON{}, []catalog.ID{}, []catalog.ID{}}
	for _, e := range l.Entries {
		out.Backups = append(out.Backups, listedJSON{e, newFaultsJSON(e)})
	}
	for _, v := range veiled {
		out.Hidden = append(out.Hidden, v.ID)
	}
	for _, gap := range l.Gaps {
		out.Gaps = append(out.Gaps, gap.Missing)
	}
	for _, p := range l.Problems {
		out.Problems = append(out.Problems, problemJSON{p.Sink, p.Key, p.Err.Error()})
	}
	return out
}

func (g *global) printList(l catalog.Listing) error {
	if len(l.Entries) == 0 && len(l.Problems) > 0 {
		return nothingUsable(l)
	}
	if len(l.Entries) == 0 {
		fmt.Fprintln(g.err, "lifeboat: no backup here")
		if len(l.Others) > 0 {
			fmt.Fprintf(g.err, "lifeboat: hint: the sink holds backups of %s: choose with --cluster\n", strings.Join(l.Others, ", "))
		}
		return nil
	}
	rows := [][]string{{"BACKUP", "AGE", "REVISION", "KEYS", "DATABASE", "STORED", "SIGNED BY", "SINKS", "REMARKS"}}
	for _, e := range l.Entries {
		rows = append(rows, []string{
			string(e.ID), ageText(g.now().Sub(e.Started)), fmt.Sprint(e.Revision), fmt.Sprint(e.LiveKeys),
			bytesText(e.Plain.Size), bytesText(e.Manifest.Sealed.Size), signedBy(e.Sig), fmt.Sprint(len(e.Sinks)), remarks(e),
		})
	}
	return g.table(rows)
}

// nothingUsable is the answer where something is there and nothing of it can be used: never "no backup".
func nothingUsable(l catalog.Listing) error {
	return fmt.Errorf("nothing here can be used, and %d objects or sinks could not be read or trusted, first: %w", len(l.Problems), l.Problems[0])
}

func signedBy(s catalog.Signature) string {
	switch {
	case !s.Signed:
		return "nobody"
	case s.Trusted:
		return strings.Join(s.By, " ")
	}
	return strings.Join(s.By, " ") + " (unchecked)"
}

func remarks(e catalog.Entry) string {
	var all []string
	if wrong := faultText(e); wrong != "" {
		all = append(all, wrong)
	}
	if len(e.Doubts) > 0 {
		all = append(all, "suspect: "+strings.Join(e.Doubts, "; "))
	}
	if e.Held {
		all = append(all, strings.TrimSuffix("held: "+e.HeldFor, ": "))
	}
	if e.PreUpgrade && !e.Held {
		all = append(all, "taken before an upgrade")
	}
	if !e.Quorum {
		all = append(all, "taken without quorum")
	}
	if !e.ReadInFull() {
		all = append(all, "not read back in full when it was made")
	}
	if e.Raw {
		all = append(all, "raw")
	}
	return strings.Join(all, ", ")
}

func newShow(g *global) *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "show BACKUP",
		Short: "Show everything the manifest of one backup says",
		Long: `Show the manifest of a backup: BACKUP is an id, the beginning of one, latest, latest-verified (the
newest that a deep verification or a rehearsal has proved), or before:TIME (before:2026-11-20T14:50:00Z).

EXIT STATUS
  0 shown, 2 usage, 5 no sink could be read, 6 no such backup, 12 not authentic`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			b, err := f.bucket(ctx, g, cmd)
			if err != nil {
				return err
			}
			e, err := b.find(ctx, g, args[0])
			if err != nil {
				return err
			}
			later := b.rewrappedTo(ctx, g.streams, e)
			if f.output == "json" {
				return g.printJSON(shownJSON{e, later, newFaultsJSON(e)})
			}
			return g.printShow(e, later)
		},
	}
	f.everywhere(cmd)
	f.storage(cmd)
	f.trusting(cmd)
	return cmd
}

// shownJSON is `show -o json`.
type shownJSON struct {
	catalog.Entry
	RewrappedTo []string    `json:"rewrapped_to"` // fingerprints of recipients that came later
	Faults      []faultJSON `json:"faults"`       // as far as reports tell
}

// rewrappedTo are the recipients that the backup was given to later, in any sink.
func (b *bucket) rewrappedTo(ctx context.Context, s streams, e catalog.Entry) []string {
	all := []string{}
	for _, sink := range b.holding(e) {
		fps, err := catalog.SidecarFingerprints(ctx, sink, e.Cluster, e.ID)
		if err != nil {
			s.warnf("%v", err)
		}
		all = append(all, fps...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (g *global) printShow(e catalog.Entry, later []string) error {
	members := make([]string, 0, len(e.Source.Members))
	for _, m := range e.Source.Members {
		text := m.Name + " " + strings.Join(m.PeerURLs, ",")
		if m.ServerVersion != "" && m.ServerVersion != e.Source.ServerVersion {
			text += " on etcd " + m.ServerVersion
		}
		members = append(members, text)
	}
	keys := make([]string, 0, len(e.EncryptionKeys))
	for _, k := range e.EncryptionKeys {
		keys = append(keys, fmt.Sprintf("%s/%s", k.Provider, k.Name))
	}
	rows := [][]string{
		{"backup", string(e.ID)},
		{"cluster", e.Cluster},
		{"taken", fmt.Sprintf("%s (%s), in %s", e.Started.Format(time.RFC3339), agoText(g.now().Sub(e.Started)), e.Finished.Sub(e.Started).Round(time.Millisecond))},
		{"from", fmt.Sprintf("%s at %s, etcd %s", e.Source.MemberName, e.Source.Endpoint, e.Source.ServerVersion)},
		{"members", strings.Join(members, "; ")},
		{"revision", revisionText(e)},
		{"compared with", orNone(strings.Join(e.HashKV.Members, ", "))},
		{"HashKV", fmt.Sprintf("%d at revision %d", e.HashKV.Hash, e.HashKV.Revision)},
		{"live keys", fmt.Sprint(e.LiveKeys)},
		{"database", fmt.Sprintf("%s, sha256 %s", bytesText(e.Plain.Size), e.Plain.SHA256)},
		{"stored as", e.Manifest.Sealed.Key},
		{"", fmt.Sprintf("%s, sha256 %s", bytesText(e.Manifest.Sealed.Size), e.Manifest.Sealed.SHA256)},
		{"sealed to", sealedTo(e)},
		{"given later to", orNone(strings.Join(later, ", "))},
		{"signed by", signedBy(e.Sig)},
		{"in", strings.Join(e.Sinks, ", ")},
		{"read back", readBackText(e)},
		{"at-rest keys", orNone(strings.Join(keys, ", "))},
		{"alarms", orNone(strings.Join(e.Source.Alarms, ", "))},
		{"remarks", orNone(remarks(e))},
	}
	return g.table(rows)
}

func revisionText(e catalog.Entry) string {
	compacted := "never compacted"
	if e.CompactRevision > 0 {
		compacted = fmt.Sprintf("compacted to %d", e.CompactRevision)
	}
	if e.LinearizableRevision == 0 {
		return fmt.Sprintf("%d (%s; what the cluster had reached is unknown)", e.Revision, compacted)
	}
	return fmt.Sprintf("%d (%s; the cluster had reached %d before)", e.Revision, compacted, e.LinearizableRevision)
}

func sealedTo(e catalog.Entry) string {
	if len(e.Manifest.Sealed.Fingerprints) == 0 {
		return "nobody: anyone can read it"
	}
	return strings.Join(e.Manifest.Sealed.Fingerprints, ", ") + " (fingerprints)"
}

// readBackText tells how the copies were proved when the backup was made.
func readBackText(e catalog.Entry) string {
	if e.ReadBack.OK {
		return "in full, decrypted and compared"
	}
	var full, asked []string
	for _, s := range e.ReadBack.Sinks {
		if s.Full {
			full = append(full, s.Sink)
		} else {
			asked = append(asked, s.Sink)
		}
	}
	text := "compared by the store's checksum: " + orNone(strings.Join(asked, ", "))
	if len(full) > 0 {
		text = "in full from " + strings.Join(full, ", ") + "; " + text
	}
	return text
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
