package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/restore"
)

// extractedJSON is `restore --snapshot-out -o json`.
type extractedJSON struct {
	Backup     string `json:"backup"` // its id, or a local file's SHA-256
	File       string `json:"file"`
	Size       int64  `json:"size"`
	SHA256     string `json:"sha256"`
	Revision   int64  `json:"revision"`
	HashKV     uint32 `json:"hashkv"`
	OpenedWith string `json:"opened_with,omitempty"`
	From       string `json:"from,omitempty"`
}

// extract writes the plain snapshot instead of members.
func (f *restoreFlags) extract(g *global, cmd *cobra.Command, plan restore.Plan, deps restore.Deps) error {
	for _, flag := range []string{"out", "member", "data-dir", "like", "move-aside", "initial-cluster", "attempt", "no-bump", "dry-run"} {
		if cmd.Flags().Changed(flag) {
			return &usageError{
				"--" + flag + " is for making members, and --snapshot-out makes none",
				"leave one of the two out; whatever restores the snapshot decides about members",
			}
		}
	}
	bar := newProgress(g.err)
	deps.Log, deps.Now = g.loggerTo(bar), g.now
	deps.Progress = func(s restore.Step, done, total int64) { bar.at(string(s), done, total) }
	x, err := restore.Extract(cmd.Context(), plan, f.snapshotOut, deps)
	bar.done()
	if err != nil {
		return err
	}
	if f.output == "json" {
		return g.printJSON(extractedJSON{x.Source.ID, x.File, x.Size, x.SHA256, x.Source.Revision, x.Source.Hash.Hash, x.OpenedWith, x.Sink})
	}
	_, err = fmt.Fprintf(g.out, "snapshot %s\n  %s, %s, revision %d, %d keys\n  sha256 %s, etcd's own digest at its end and HashKV %d are right\n"+
		"  it is not encrypted: remove it when it is no longer needed\n"+
		"  whatever restores it sets the revision back to %d: restart every controller, kubelet and scheduler afterwards\n",
		x.File, x.Source.ID, bytesText(x.Size), x.Source.Revision, x.Source.LiveKeys, x.SHA256, x.Source.Hash.Hash, x.Source.Revision)
	return err
}
