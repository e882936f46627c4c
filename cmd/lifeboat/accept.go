package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

func newAccept(g *global) *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "accept BACKUP",
		Short: "Accept a suspect backup and its lineage, or changed recipients, on the record",
		Long: `A backup that does not continue its cluster's history (another etcd cluster id, a lower revision, half of the keys
gone) is suspect, and latest passes it over: it may be of a cluster that was wiped. If the change was meant, accept
one backup of the new lineage: from then on latest chooses from it.

A backup that is sealed to other recipients than the ones before is told of, by every backup and by status, until
one with the new recipients is accepted. What latest means has nothing to do with that.

What is accepted is printed: one of the two, or both. This writes a mark beside the manifest in every
sink that holds it, signed where --signing-key-file is given; nothing is changed or removed.

EXIT STATUS
  0 accepted in every sink that holds it, 2 usage, 3 in some of them only, or a sink could not be read,
  5 no sink could be used, 6 no such backup, 12 not authentic, 130/143 interrupted`,
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
	d, err := f.decision(g, cmd)
	if err != nil {
		return err
	}
	l, err := d.list(ctx, g.streams)
	if err != nil {
		return err
	}
	e, err := g.resolve(l, id)
	if err != nil {
		return err
	}
	accepts := acceptable(l, e)
	if len(accepts) == 0 {
		return d.nothingToDo(g, catalog.MarkAccept, fmt.Sprintf("%s is not suspect, and its recipients are known: there is nothing to accept", e.ID))
	}
	return d.mark(ctx, g, e, catalog.Mark{Mark: catalog.MarkAccept}, accepts...)
}

// acceptable says what a mark on a backup would accept.
func acceptable(l catalog.Listing, e catalog.Entry) (all []string) {
	if len(e.Doubts) > 0 {
		all = append(all, fmt.Sprintf("%s and its lineage; it was suspect because %s", e.ID, strings.Join(e.Doubts, "; ")))
	}
	if l.AcceptsRecipients(e) {
		c, _ := l.RecipientsChange()
		all = append(all, fmt.Sprintf("the recipients of %s, changed since %s: %s", e.ID, c.Since, recipientsText(c.Before, c.Now)))
	}
	return all
}

// recipientsText says by fingerprints what is different.
func recipientsText(before, now []string) string {
	c := catalog.RecipientsChange{Before: before, Now: now}
	var all []string
	if come := c.Come(); len(come) > 0 {
		all = append(all, strings.Join(come, ", ")+" can open them now")
	}
	if gone := c.Gone(); len(gone) > 0 {
		all = append(all, strings.Join(gone, ", ")+" no longer can")
	}
	switch {
	case len(now) == 0:
		all = append(all, "they are not encrypted any more: anyone can open them")
	case len(before) == 0:
		all = append(all, "before, anyone could open them")
	}
	return strings.Join(all, "; ")
}
