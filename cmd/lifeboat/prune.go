package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/backup/prune"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/retention"
)

type pruneFlags struct {
	flags
	policy retention.Policy
	apply  bool
}

func newPrune(g *global) *cobra.Command { return (&pruneFlags{}).command(g) }

func (f *pruneFlags) command(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove the backups that no rule keeps; without --apply only say which",
		Long: `Decide about every backup and print why. Nothing is removed without --apply.

What any rule keeps is kept: --last 12 the newest twelve; --hourly 24 the newest of each hour, of 24 hours that have a
backup; --daily, --weekly, --monthly, --yearly likewise (UTC, weeks begin on Monday); --within 72h all that are not
older than the newest by more. Rules count back from the newest backup of each lineage, never from now: weeks in which
every backup failed age out nothing. A backup dated in the future, found damaged, or without its payload takes no
place of another.

Kept whatever the rules say:
  floor    of each lineage the newest --floor backups, those with a passing verify --deep or rehearsal first
  held     until lifeboat release
  frozen   every lineage beside which a newer one is suspect: the cluster may have been wiped, and what was before may
           be all there is. lifeboat accept BACKUP ends that: of the newer lineage, if the change was meant, or of one
           that is newer still, as after a restore
  limit    one run removes at most a fifth of the backups, the oldest first, unless --all

If any sink cannot be read, nothing is removed. What cannot be read or is not signed by a trusted key is neither counted
nor removed. What an object lock keeps is told and left. Objects without a manifest and unfinished uploads older than
24 hours are collected, too.

EXIT STATUS
  0 planned, or with --apply removed but for what a lock keeps; 2 usage, or no rule; 3 some could not be removed;
  5 a sink could not be read, or none of it removed; 9 a newer version's backups are here; 130/143 interrupted`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{onInterrupt: "each backup is there whole, or not at all; what is left of one is collected by a later prune"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.told(g, cmd, "prune", func() error { return f.run(g, cmd) })
		},
	}
	f.everywhere(cmd)
	f.storage(cmd)
	f.trusting(cmd)
	fl := cmd.Flags()
	f.events.register(fl)
	fl.IntVar(&f.policy.Last, "last", 0, "keep the newest `N`")
	fl.IntVar(&f.policy.Hourly, "hourly", 0, "keep the newest of each of `N` hours")
	fl.IntVar(&f.policy.Daily, "daily", 0, "keep the newest of each of `N` days")
	fl.IntVar(&f.policy.Weekly, "weekly", 0, "keep the newest of each of `N` weeks")
	fl.IntVar(&f.policy.Monthly, "monthly", 0, "keep the newest of each of `N` months")
	fl.IntVar(&f.policy.Yearly, "yearly", 0, "keep the newest of each of `N` years")
	fl.DurationVar(&f.policy.Within, "within", 0, "keep all within this long before the newest, for example 72h")
	fl.IntVar(&f.policy.Floor, "floor", retention.DefaultFloor, "keep at least `N` of each lineage, proven ones first")
	fl.BoolVar(&f.policy.All, "all", false, "remove more than a fifth of the backups in one run")
	fl.BoolVar(&f.apply, "apply", false, "remove what the plan says, instead of only printing it")
	return cmd
}

// rules fills what no flag said from the configuration, and refuses what keeps nothing.
func (f *pruneFlags) rules(cmd *cobra.Command) error {
	c, p := f.retention, &f.policy
	// said is how a rule is written where it was given.
	said := func(name string) string {
		if cmd.Flags().Changed(name) {
			return "--" + name
		}
		return "configuration " + f.config + ": retention." + name
	}
	for name, pair := range map[string]struct {
		at    *int
		value int
	}{
		"last": {&p.Last, c.Last}, "hourly": {&p.Hourly, c.Hourly}, "daily": {&p.Daily, c.Daily}, "weekly": {&p.Weekly, c.Weekly},
		"monthly": {&p.Monthly, c.Monthly}, "yearly": {&p.Yearly, c.Yearly},
	} {
		if pair.value != 0 && !cmd.Flags().Changed(name) {
			*pair.at = pair.value
		}
		if *pair.at < 0 {
			return &usageError{fmt.Sprintf("%s %d is negative", said(name), *pair.at), "use a count, or leave the rule out"}
		}
	}
	if c.Floor != nil && !cmd.Flags().Changed("floor") {
		p.Floor = *c.Floor
	}
	if c.Within != 0 && !cmd.Flags().Changed("within") {
		p.Within = c.Within
	}
	switch {
	case p.Within < 0:
		return &usageError{fmt.Sprintf("%s %s is negative", said("within"), p.Within), "use a duration such as 72h"}
	case p.Floor < 0:
		return &usageError{fmt.Sprintf("%s %d is negative", said("floor"), p.Floor), "use 1 at least; 3 is the default"}
	case p.Floor == 0:
		return &usageError{said("floor") + " 0 would let a lineage end", "use 1 at least; 3 is the default"}
	case p.Empty():
		return &usageError{"no rule says what to keep, so everything would go but the floor", "give at least one of --last --hourly --daily --weekly --monthly --yearly --within, or `retention` in the configuration"}
	}
	return nil
}

func (f *pruneFlags) run(g *global, cmd *cobra.Command) error {
	ctx := cmd.Context()
	b, err := f.bucket(ctx, g, cmd)
	if err != nil {
		return err
	}
	if err := f.rules(cmd); err != nil {
		return err
	}
	plan, err := prune.Look(ctx, prune.Options{
		Cluster: b.cluster, Sinks: b.sinks, Trust: b.trust, Policy: f.policy, Now: g.now, Log: g.logger(),
	})
	if err != nil {
		return err
	}
	for _, w := range plan.Warnings {
		g.warnf("%s", w)
	}
	var result *prune.Result
	var failed error
	if f.output != "json" {
		if err := g.printPrunePlan(plan); err != nil {
			return err
		}
	}
	if f.apply {
		result, failed = plan.Apply(ctx)
	}
	f.found.pruned(plan, result)
	if f.output == "json" {
		if err := g.printJSON(newPruneJSON(g.now(), plan, result)); err != nil {
			return err
		}
	}
	g.tellPruned(plan, result)
	return pruned(ctx, plan, result, failed)
}

// pruned makes of a run what its exit code tells.
func pruned(ctx context.Context, plan *prune.Plan, r *prune.Result, failed error) error {
	if r == nil || ctx.Err() != nil {
		return failed
	}
	var causes []error
	if failed != nil {
		causes = append(causes, failed)
	}
	for _, t := range r.Failed {
		causes = append(causes, t.Err)
	}
	done := len(r.Removed) + r.Orphans
	switch {
	case len(causes) == 0:
		return nil
	case done == 0:
		return causes[0]
	}
	message := fmt.Sprintf("%d of %d backups were removed, then: %v", len(r.Removed), len(plan.Removals()), oneLine(causes[0].Error()))
	return &partlyDone{message, "what is listed is whole: mend the sink, then prune again", causes}
}

// lineageNumbers numbers lineages in the order of their first backups, for eyes.
func lineageNumbers(plan *prune.Plan) map[catalog.Lineage]int {
	numbers := make(map[catalog.Lineage]int)
	for _, l := range plan.Lines {
		if numbers[l.Lineage] == 0 {
			numbers[l.Lineage] = len(numbers) + 1
		}
	}
	return numbers
}
