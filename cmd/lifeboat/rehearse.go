package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

type rehearseFlags struct {
	planFlags
	reporting
	files        reportFiles
	etcdBinaries []string
	members      int
	dir          string
	keep         bool
	noSettle     bool
	boot         time.Duration
	apiserver    string
	apiserverArg []string
}

func newRehearse(g *global) *cobra.Command { return (&rehearseFlags{}).command(g) }

func (f *rehearseFlags) command(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rehearse [BACKUP]",
		Short: "Restore a backup into a throwaway cluster and prove that it equals what was backed up",
		Long: `Restore BACKUP (latest unless given) into a throwaway cluster on loopback, boot its members, and ask them: quorum,
HashKV on every member against the backup, key counts per prefix, alarms, a canary written, read and deleted; then
once more with the revision bump. The live cluster is not touched. Every phase is timed: that is the measured RTO.

The database lies in plain under --dir while it runs (for its owner only), and is removed at the end; what a killed
rehearsal has left there, the next one removes that begins a minute later or more.

A report of the outcome is left beside the backup, signed with --signing-key-file: latest-verified, status and prune
go by it. --no-report leaves none. The measured RTO is compared with those of the last rehearsals there.

--html FILE keeps the report as one page for an auditor, --junit FILE as JUnit XML for CI; both also if it failed.

The members run the etcd built into Lifeboat, or --etcd BINARY; several in order are an upgrade rehearsal.

With --apiserver BINARY a real kube-apiserver is then started on them, on loopback, and lists every object of every
resource: one that it cannot read fails the rehearsal, by name. What needs an encryption key or a webhook that is not
there is not tested, and the report says so. It reaches nothing of the cluster that was backed up.

EXIT STATUS
  0 proven, 10 it ran and failed, 2 usage, 5 no sink could be used, 6 no such backup, 8 no identity opens it,
  9 refused for safety, 12 not authentic, 130/143 interrupted, 1 could not test for another reason,
  or passed and a file of --html or --junit could not be written`,
		Args:        cobra.MaximumNArgs(1),
		Annotations: map[string]string{onInterrupt: "the rehearsal proves nothing, its throwaway cluster is removed"},
		RunE: func(cmd *cobra.Command, args []string) error {
			asked := "latest"
			if len(args) == 1 {
				asked = args[0]
			}
			return f.told(g, cmd, "rehearse", func() error { return f.run(g, cmd, asked) })
		},
	}
	f.planFlags.register(cmd)
	f.signing(cmd)
	f.reporting.register(cmd)
	f.files.register(cmd)
	fl := cmd.Flags()
	f.events.register(fl)
	fl.StringArrayVar(&f.etcdBinaries, "etcd", nil, "etcd `BINARY` to boot the members with (repeatable: an upgrade, in order)")
	fl.IntVar(&f.members, "members", 3, "`N` members in the throwaway cluster")
	fl.StringVar(&f.dir, "dir", "", "`DIR` for the throwaway cluster, with room for its members (default: the system's temporary one)")
	fl.BoolVar(&f.keep, "keep", false, "leave the restored directories for a look")
	fl.BoolVar(&f.noSettle, "no-settle", false, "between etcd 3.5 and 3.7 do not have 3.6 take the raft snapshot without which 3.7 panics")
	fl.StringVar(&f.apiserver, "apiserver", "", "kube-apiserver `BINARY` to start on the restored cluster and list every object with")
	fl.StringArrayVar(&f.apiserverArg, "apiserver-arg", nil, "further `FLAG` for it, as in --apiserver-arg=--encryption-provider-config=FILE (repeatable)")
	fl.DurationVar(&f.boot, "boot-timeout", 0, "how long the members may take to serve (default: a minute, and one more for each GiB)")
	return cmd
}

func (f *rehearseFlags) checkNumbers() error {
	if f.members < 1 || f.members > 9 {
		return &usageError{fmt.Sprintf("--members %d makes no cluster", f.members), "use 1, 3 or 5"}
	}
	if f.maxAge < 0 {
		return &usageError{fmt.Sprintf("--max-age %s is negative", f.maxAge), "use a duration such as 26h"}
	}
	return nil
}

func (f *rehearseFlags) run(g *global, cmd *cobra.Command, asked string) error {
	ctx := cmd.Context()
	if err := errors.Join(f.checkNumbers(), f.files.check()); err != nil {
		return err
	}
	plan, deps, err := f.plan(ctx, g, cmd, asked)
	if err != nil {
		return err
	}
	reports, err := f.reporter(&f.flags, g, &bucket{sinks: deps.Sinks, trust: plan.Trust})
	if err != nil {
		return err
	}
	bar := newProgress(g.err)
	deps.Log = g.loggerTo(bar)
	deps.Progress = func(s restore.Step, done, total int64) { bar.at(string(s), done, total) }
	report, err := rehearsal.Run(ctx, rehearsal.Options{
		Plan: plan, Members: f.members, Etcd: f.etcdBinaries, Dir: f.dir, Keep: f.keep, NoSettle: f.noSettle, Timeout: f.boot,
		APIServer: f.apiserver, APIServerArgs: f.apiserverArg, Tool: version, Now: g.now, Log: deps.Log,
	}, deps)
	bar.done()
	if err != nil {
		return err
	}
	if report.Passed {
		f.found.add("%s, recovered in %s", report.Backup.ID, time.Duration(report.RTOSeconds*float64(time.Second)).Round(time.Second/10))
	}
	if plan.Source.Entry != nil { // a local file is in no sink
		follow(ctx, g, report, deps.Sinks, plan.Trust)
		reports.write(ctx, *plan.Source.Entry, rehearsed(report))
	}
	if f.output == "json" {
		err = g.printJSON(report)
	} else {
		err = report.Table(g.out)
	}
	err = errors.Join(err, f.files.write(report))
	if !report.Passed {
		err = errors.Join(&notProven{"the rehearsal failed: " + report.Reason, report.Remedy}, err)
	}
	return err
}
