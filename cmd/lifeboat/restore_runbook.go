package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/internal/shell"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/restore/runbook"
)

// book prints the steps of a restore instead of doing it.
func (f *restoreFlags) book(g *global, cmd *cobra.Command, plan restore.Plan, deps restore.Deps) error {
	if !slices.Contains(runbook.Kinds(), f.runbook) {
		return &usageError{"there is no runbook for " + f.runbook, "there is one for " + strings.Join(runbook.Kinds(), ", ")}
	}
	for _, flag := range []string{"out", "member", "data-dir", "like", "move-aside", "snapshot-out", "dry-run"} {
		if cmd.Flags().Changed(flag) {
			return &usageError{"--" + flag + " is for a restore, and --runbook makes none", "leave it out: the printed commands say where members go"}
		}
	}
	b, err := plan.Book(f.runbook, g.now(), deps.Identities, func(args []string) string {
		return shell.Words(slices.Concat([]string{"lifeboat", "restore"}, args, f.access()))
	})
	if err != nil {
		return err
	}
	if f.output == "json" {
		return g.printJSON(b)
	}
	return b.Print(g.out)
}
