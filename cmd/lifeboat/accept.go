package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

func newAccept(g *global) *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "accept BACKUP",
		Short: "Accept a suspect backup and its lineage, on the record",
		Long: `A backup that does not continue its cluster's history (another etcd cluster id, a lower revision, half of the keys
gone) is suspect, and latest passes it over: it may be of a cluster that was wiped. If the change was meant, accept
one backup of the new lineage: from then on latest chooses from it. This writes a mark beside the manifest in every
sink that holds it, signed where --signing-key-file is given; nothing is changed or removed.

EXIT STATUS
  0 accepted in every sink that holds it, 2 usage, 3 in some of them only, 5 no sink could be used,
  6 no such backup, 12 not authentic`,
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{onInterrupt: "the mark may be in some of the sinks; accept it again"},
		RunE:        func(cmd *cobra.Command, args []string) error { return f.accept(g, cmd, args[0]) },
	}
	f.everywhere(cmd)
	f.storage(cmd)
	f.signing(cmd)
	f.trusting(cmd)
	return cmd
}

func (f *flags) accept(g *global, cmd *cobra.Command, id string) error {
	ctx := cmd.Context()
	b, err := f.bucket(ctx, g, cmd)
	if err != nil {
		return err
	}
	signers, err := f.signers()
	if err != nil {
		return err
	}
	if b.trust.Verifiers != nil && len(signers) == 0 {
		return &usageError{"keys are trusted, so a mark without a signature would be ignored", "give --signing-key-file"}
	}
	e, err := b.find(ctx, g, id)
	if err != nil {
		return err
	}
	if len(e.Doubts) == 0 {
		fmt.Fprintf(g.err, "lifeboat: %s is not suspect: there is nothing to accept\n", e.ID)
		return nil
	}
	mark := catalog.Mark{ID: e.ID, Cluster: e.Cluster, Mark: catalog.MarkAccept, Time: g.now()}
	var failed []error
	for _, s := range b.holding(e) {
		if err := catalog.PutMark(ctx, s, mark, signers...); err != nil {
			failed = append(failed, err)
			continue
		}
		fmt.Fprintf(g.err, "lifeboat: accepted %s and its lineage in %s; it was suspect because %s\n", e.ID, s.Name, strings.Join(e.Doubts, "; "))
	}
	if len(failed) > 0 && len(failed) < len(e.Sinks) {
		return &partlyDone{oneLine(errors.Join(failed...).Error()), "accept it again once the sink can be written", failed}
	}
	return errors.Join(failed...)
}
