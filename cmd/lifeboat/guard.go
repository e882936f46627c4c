package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/guard"
	"github.com/lifeboat-dr/lifeboat/restore/runbook"
)

type guardFlags struct {
	backupFlags
	reporting
	allowUnhealthy, allowPartial bool
	settle                       time.Duration
	reason, kind                 string
}

func newGuard(g *global) *cobra.Command {
	f := &guardFlags{}
	cmd := &cobra.Command{
		Use:   "guard [flags] -- COMMAND [ARG…]",
		Short: "Run a dangerous command, such as an upgrade, between a held backup and a look at what it did",
		Long: `Look at every member of the cluster; take a backup as the command backup does; verify it, as verify --deep does where
--identity is given, otherwise the read-back of the backup counts; hold it, so that no prune removes it. Only if all of
that is well run COMMAND. Then wait until the cluster is as well as it was, say what changed, and print the way back.
No member is asked for a hash, and nothing is written to the cluster.

COMMAND is run as it is, by no shell, with our stdin, stdout and stderr. What guard itself says is on stderr; with -o json
its result is on stdout, and what COMMAND writes to its stdout goes to stderr. SIGINT, SIGTERM, SIGHUP and SIGQUIT are
COMMAND's to act on, as if it ran without us. --timeout ends only what comes before COMMAND, never COMMAND.

If guard is killed before COMMAND runs, it does not run; if it is killed later, COMMAND goes on without the look
afterwards. The backup is held in either case, once that was said.

EXIT STATUS
  0 COMMAND exited with 0 and the cluster is as well as before; 1 COMMAND did not exit with 0 (its status is in the message
  and in the JSON), and the cluster is as well as before; 4 the cluster is not healthy: before, and COMMAND did not run,
  or after, whatever COMMAND said; 130/143 interrupted
  COMMAND did not run: 2 usage, or there is no such COMMAND, 3 the backup is in some of the sinks only, 5 no sink could be
  used, 7 the backup is damaged, 8 no identity opens it, 9 the backup is suspect, 12 not authentic, 1 anything else`,
		Args:                  cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true,
		Annotations:           map[string]string{},
		RunE:                  func(cmd *cobra.Command, args []string) error { return f.run(g, cmd, args) },
	}
	f.backupFlags.register(cmd)
	f.opening(cmd)
	f.reporting.register(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.allowUnhealthy, "allow-unhealthy", false, "run COMMAND although the cluster is not healthy: what is wrong before may be wrong afterwards")
	fl.BoolVar(&f.allowPartial, "allow-partial", false, "run COMMAND although the backup is in some of the sinks only")
	fl.DurationVar(&f.settle, "settle-timeout", 5*time.Minute, "how long after COMMAND the cluster may take to be as well as before")
	fl.StringVar(&f.reason, "reason", "", "why the backup is held: `TEXT` (default: pre-upgrade: and the name of COMMAND, without its arguments)")
	fl.StringVar(&f.kind, "runbook", "kubeadm", "the `KIND` of cluster that the printed way back is for: "+strings.Join(runbook.Kinds(), ", "))
	fl.Lookup("allow-no-quorum").Usage = "with --allow-unhealthy: back up what a member has although no quorum vouches for it"
	fl.Lookup(timeoutFlag).Usage = "give up what comes before COMMAND after this long (0: never; a stalled transfer is always given up)"
	return cmd
}

// guarding is one run of guard.
type guarding struct {
	*guardFlags
	g      *global
	cmd    *cobra.Command
	place  *decision // where the backup goes; once it is there, the sinks that have it
	target *guard.Command
	check  *catalog.Report // the newest cross-check of the members
	entry  catalog.Entry   // the backup
	left   string          // what is true if we end now
	out    guardedJSON
}

func (f *guardFlags) run(g *global, cmd *cobra.Command, args []string) error {
	r, o, err := f.prepare(g, cmd, args)
	if err != nil {
		return err
	}
	if err = r.protect(cmd.Context(), o); err != nil {
		return r.finish(r.notRun(err))
	}
	return r.finish(r.runIt(cmd.Context(), o))
}

// prepare finds everything that can be wrong with what was asked for, before anything is asked of anybody.
func (f *guardFlags) prepare(g *global, cmd *cobra.Command, args []string) (*guarding, backup.Options, error) {
	var o backup.Options
	if len(args) == 0 || cmd.ArgsLenAtDash() != 0 {
		return nil, o, &usageError{"the command to run does not stand after --", "write it as in: lifeboat guard --sink URL … -- ./upgrade.sh ARG"}
	}
	if !slices.Contains(runbook.Kinds(), f.kind) {
		return nil, o, &usageError{"there is no runbook for " + f.kind, "there is one for " + strings.Join(runbook.Kinds(), ", ")}
	}
	if f.settle < 0 {
		return nil, o, &usageError{fmt.Sprintf("--settle-timeout %s is negative", f.settle), "use a duration such as 5m"}
	}
	target, err := guard.Find(args)
	if err != nil {
		return nil, o, err
	}
	place, err := f.decision(g, cmd)
	if err != nil {
		return nil, o, err
	}
	if o, err = f.options(g, place.bucket); err != nil {
		return nil, o, err
	}
	if len(f.identities) > 0 {
		if _, err := f.keys(cmd.Context(), g.streams); err != nil {
			return nil, o, err
		}
	}
	o.PreUpgrade = true
	o.ReadBack = nil // in full, whatever is configured: this is the one to go back to
	f.cluster, place.cluster = o.Cluster, o.Cluster
	if f.reason == "" {
		f.reason = "pre-upgrade: " + args[0]
	}
	r := &guarding{guardFlags: f, g: g, cmd: cmd, place: place, target: target}
	r.out.Command.Args = args
	r.leaves("the cluster was only read")
	return r, o, nil
}

// leaves says what is true if we end now.
func (r *guarding) leaves(what string) {
	r.left = what
	r.cmd.Annotations[onInterrupt] = fmt.Sprintf("%s was not run; %s", r.target.Args[0], what)
}

// notRun wraps what keeps the command from being run.
func (r *guarding) notRun(err error) error {
	e := &notRun{command: r.target.Args[0], left: r.left, err: err}
	switch {
	case errors.As(err, new(*guard.UnhealthyError)):
		e.override = "`lifeboat doctor` says what is wrong and how it is mended; to run it all the same, give --allow-unhealthy"
	case errors.As(err, new(*partlyDone)):
		e.override = "to run it all the same, give --allow-partial"
	}
	return e
}

// protect does everything that has to be well before the command may run.
func (r *guarding) protect(ctx context.Context, o backup.Options) error {
	if err := r.healthy(ctx, o); err != nil {
		return err
	}
	taken, err := takeBackup(ctx, r.g, o)
	if err != nil {
		return err
	}
	id := taken.Manifest.ID
	r.leaves(fmt.Sprintf("backup %s is there, and not held", id))
	r.out.Backup = &guardedBackupJSON{ID: id, Revision: taken.Manifest.Revision, Sinks: []string{}}
	if err := r.sound(taken); err != nil {
		return err
	}
	if err := r.verify(ctx, taken); err != nil {
		return err
	}
	r.leaves(fmt.Sprintf("backup %s is there, and may be held in some of the sinks", id))
	if err := r.hold(ctx); err != nil {
		return err
	}
	r.leaves(fmt.Sprintf("backup %s is there and held; to end that: %s", id, r.out.Release))
	return nil
}

// healthy looks at the cluster, and refuses one that is not as it should be.
func (r *guarding) healthy(ctx context.Context, o backup.Options) error {
	l, err := r.place.list(ctx, r.g.streams)
	if err != nil {
		return err
	}
	r.check = l.CrossCheck
	before, err := guard.Look(ctx, o.Etcd, r.check, r.g.now())
	if err != nil {
		return err
	}
	r.out.Before = &before
	r.g.tellState("before", before)
	switch wrong := before.Err(); {
	case wrong == nil:
		return nil
	case r.allowUnhealthy:
		r.g.warnf("%v", wrong)
		return nil
	default:
		return wrong
	}
}

// sound refuses a backup that is less than what a person would want to go back to.
func (r *guarding) sound(taken *backup.Result) error {
	r.g.tellRecipientsChanged(taken)
	if err := unvouched(taken); err != nil { // --allow-no-quorum was given, or there would be no backup
		r.g.warnf("%v", err)
	}
	err := missing(taken)
	// One that is suspect only because a sink could not be read is as good as one that is not in that sink.
	unseen := taken.Manifest.Suspect.Unseen && (err != nil || r.allowPartial)
	switch {
	case len(taken.Suspect) > 0 && !unseen:
		return &refused{
			fmt.Sprintf("backup %s is suspect: %s", taken.Manifest.ID, strings.Join(taken.Suspect, "; ")),
			ifMeant(taken.Manifest.ID),
		}
	case err != nil && r.allowPartial:
		r.g.warnf("%v", err)
		return nil
	}
	return err
}

// hold forbids the removal of the backup.
func (r *guarding) hold(ctx context.Context) error {
	r.out.Release, r.out.Rollback = r.release(), r.rollback()
	err := r.place.mark(ctx, r.g, r.entry, catalog.Mark{Mark: catalog.MarkHold, Reason: r.reason}, fmt.Sprintf("%s stays until it is released", r.entry.ID))
	if err != nil && !(r.allowPartial && errors.As(err, new(*partlyDone))) {
		return err
	}
	if err != nil {
		r.g.warnf("%v", err)
	}
	r.out.Backup.Held, r.out.Backup.HeldFor = true, r.reason
	return nil
}

// refused is a run that could go on and should not.
type refused struct{ message, hint string }

func (e *refused) Error() string { return e.message }
func (e *refused) Hint() string  { return e.hint }

// notRun says that the command did not run, around why.
type notRun struct {
	command, left, override string
	err                     error
}

func (e *notRun) Error() string {
	return fmt.Sprintf("%s was not run: %v; %s", e.command, e.err, e.left)
}
func (e *notRun) Hint() string  { return e.override }
func (e *notRun) Unwrap() error { return e.err }
