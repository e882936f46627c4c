package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/open"
)

type sinkPolicyFlags struct {
	sinkFlags
	role string
}

func newSinkPolicy(g *global) *cobra.Command {
	f := &sinkPolicyFlags{}
	cmd := &cobra.Command{
		Use:   "policy [URL]",
		Short: "Print the least that a credential for writing, pruning or restoring must be allowed",
		Long: `Print what to allow a credential on exactly this bucket and prefix, to copy into the store's access management:
  writer    for backup: puts what is new and reads it back; cannot remove, and on AWS cannot replace either
  pruner    for prune: reads and removes; cannot put
  restorer  for list, verify, restore and rehearse: reads, older versions too; changes nothing
With --role the policy alone goes to stdout, to be redirected. Nothing is asked of the store.

EXIT STATUS
  0 printed, 2 usage, also where no sink's store has such policies (a directory among others is left out)`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(g, cmd, args) },
	}
	f.everywhere(cmd)
	f.storage(cmd)
	f.beside(cmd)
	cmd.Flags().StringVar(&f.role, "role", "", "only that of `ROLE`: writer, pruner or restorer")
	return cmd
}

// sinkPolicyJSON is one policy of `sink policy -o json`.
type sinkPolicyJSON struct {
	Sink   string     `json:"sink"`
	Role   sinks.Role `json:"role"`
	Policy string     `json:"policy"`
}

func (f *sinkPolicyFlags) run(g *global, cmd *cobra.Command, args []string) error {
	places, err := f.places(cmd, args)
	if err != nil {
		return err
	}
	roles := sinks.Roles()
	if f.role != "" {
		if !slices.Contains(roles, sinks.Role(f.role)) {
			return &usageError{fmt.Sprintf("--role %q is not a role", f.role), "use writer, pruner or restorer"}
		}
		roles = []sinks.Role{sinks.Role(f.role)}
	}
	all := []sinkPolicyJSON{}
	var without error // policies
	for _, p := range places {
		s, err := orAbsent(open.URL(cmd.Context(), p.url, p.options(g)))
		if err != nil {
			return err
		}
		known, ok := s.(sinks.Restricted)
		if !ok {
			without = &usageError{fmt.Sprintf("%s has no policies for credentials", s), "who may write or remove there is up to the permissions of its directory"}
			if len(places) > 1 {
				fmt.Fprintf(g.err, "lifeboat: %s is left out: a directory has no policies for credentials, only permissions\n", s)
			}
			continue
		}
		for _, role := range roles {
			all = append(all, sinkPolicyJSON{fmt.Sprint(s), role, known.Policy(role)})
		}
	}
	switch {
	case len(all) == 0:
		return without
	case f.output == "json":
		return g.printJSON(all)
	case len(all) == 1:
		_, err = fmt.Fprintln(g.out, strings.TrimSuffix(all[0].Policy, "\n"))
		return err
	}
	for _, p := range all {
		fmt.Fprintf(g.out, "# %s of %s\n%s\n\n", p.Role, p.Sink, strings.TrimSuffix(p.Policy, "\n"))
	}
	return nil
}
