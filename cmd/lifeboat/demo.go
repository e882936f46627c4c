package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/internal/demo"
)

func newDemo(g *global) *cobra.Command {
	o := demo.Options{Tool: version}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Back up, destroy and bring back a real etcd cluster, here and now, and compare key by key",
		Long: `Show the main job from end to end, with nothing installed: three members of the built-in etcd with mutual TLS,
filled with Kubernetes-shaped objects, are backed up, destroyed and restored; a rehearsal runs; every key of every
restored member is compared with the source. It takes less than a minute, listens on loopback only, touches nothing
that it has not made, and leaves nothing behind without --keep.

EXIT STATUS
  0 nothing is missing, 10 the comparison found a difference, 2 usage, 130/143 interrupted, 1 it could not run`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{onInterrupt: "the demo's clusters are gone, and so is its directory, unless --keep named one"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out = g.out
			err := demo.Run(cmd.Context(), o)
			var full *demo.NotEmptyError
			if errors.As(err, &full) {
				return &usageError{full.Error(), full.Hint()}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&o.Keep, "keep", "", "leave the bucket, the keys and the restored members in `DIR`, which must be empty or missing")
	cmd.Flags().BoolVar(&o.Damage, "damage", false, "flip one bit in a restored member before it starts, to see the comparison fail (exit 10)")
	return cmd
}
