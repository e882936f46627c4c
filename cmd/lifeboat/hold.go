package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

type holdFlags struct {
	flags
	reason string
}

func newHold(g *global) *cobra.Command {
	f := &holdFlags{}
	cmd := &cobra.Command{
		Use:   "hold BACKUP --reason TEXT",
		Short: "Keep a backup until it is released, whatever retention says",
		Long: `Forbid the removal of BACKUP (an id, latest, latest-verified, before:TIME): prune keeps it until it is released. This
writes a mark beside the manifest in every sink that holds it, signed where --signing-key-file is given. It binds
lifeboat; against someone with the bucket's keys only an object lock helps.

EXIT STATUS
  0 held in every sink that holds it, 2 usage, 3 in some of them only, or a sink could not be read,
  5 no sink could be used, 6 no such backup, 12 not authentic, 130/143 interrupted`,
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{onInterrupt: "the mark may be in some of the sinks; hold it again"},
		RunE:        func(cmd *cobra.Command, args []string) error { return f.hold(g, cmd, args[0]) },
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for whoever wonders later: `TEXT`")
	return cmd
}

func newRelease(g *global) *cobra.Command {
	f := &holdFlags{}
	cmd := &cobra.Command{
		Use:   "release BACKUP",
		Short: "End a hold: retention decides over the backup again",
		Long: `End the hold on BACKUP (an id, latest, latest-verified, before:TIME), so that the next prune may remove it. This
writes a mark beside the manifest in every sink that holds it, signed where --signing-key-file is given.

EXIT STATUS
  0 released in every sink that holds it, 2 usage, 3 in some of them only, or a sink could not be read,
  5 no sink could be used, 6 no such backup, 12 not authentic, 130/143 interrupted`,
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{onInterrupt: "the mark may be in some of the sinks; release it again"},
		RunE:        func(cmd *cobra.Command, args []string) error { return f.release(g, cmd, args[0]) },
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for whoever wonders later: `TEXT`")
	return cmd
}

func (f *holdFlags) register(cmd *cobra.Command) {
	f.everywhere(cmd)
	f.storage(cmd)
	f.signing(cmd)
	f.trusting(cmd)
}

func (f *holdFlags) hold(g *global, cmd *cobra.Command, selector string) error {
	if f.reason == "" {
		return &usageError{"no reason is given", "say with --reason why it must stay, for whoever wonders later whether it still must"}
	}
	d, err := f.decision(g, cmd)
	if err != nil {
		return err
	}
	e, err := d.find(cmd.Context(), g, selector)
	if err != nil {
		return err
	}
	// One that is held already is held again: the other mark may be in one of the sinks only.
	return d.mark(cmd.Context(), g, e, catalog.Mark{Mark: catalog.MarkHold, Reason: f.reason}, fmt.Sprintf("%s stays until it is released", e.ID))
}

func (f *holdFlags) release(g *global, cmd *cobra.Command, selector string) error {
	d, err := f.decision(g, cmd)
	if err != nil {
		return err
	}
	e, err := d.find(cmd.Context(), g, selector)
	if err != nil {
		return err
	}
	if !e.Held {
		return d.nothingToDo(g, catalog.MarkRelease, fmt.Sprintf("%s is not held: there is nothing to release", e.ID))
	}
	return d.mark(cmd.Context(), g, e, catalog.Mark{Mark: catalog.MarkRelease, Reason: f.reason}, fmt.Sprintf("retention decides over %s again", e.ID))
}
