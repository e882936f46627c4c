package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/doctor/datadir"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/member"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// roles are the parts of Lifeboat that run in a process of their own, because bytes from outside may kill it.
func roles() map[string]child.Role {
	return map[string]child.Role{
		snapshot.InspectRoleName: snapshot.InspectRole,
		restore.EditRole:         restore.EditMain,
		datadir.RoleName:         datadir.Role,
		member.Role:              member.Main,
	}
}

// run is the whole program but for the process around it: it parses args, runs the command, prints what went wrong and
// returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	s, flush := s.logged(args, os.LookupEnv)
	defer flush()
	cmd := newRoot(s)
	cmd.SetArgs(args)
	ran, err := cmd.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	err = ended(ran, err)
	s.errorf(err)
	return exitCode(ctx, err)
}

// ended puts what stopped the command in front of what broke because of that: a signal, or --timeout.
func ended(cmd *cobra.Command, err error) error {
	var (
		sig       interrupted
		partly    *partlyDone
		uncertain *backup.UncertainError
		late      timedOut
	)
	cause := context.Cause(cmd.Context())
	switch {
	case cause == nil:
		return err
	case errors.As(err, &partly):
		if errors.As(cause, &sig) { // which is why, and what the exit code says
			return fmt.Errorf("%w: %w", sig, err)
		}
		return err
	case errors.As(cause, &sig) && errors.As(err, &uncertain):
		return fmt.Errorf("%w: %w", sig, uncertain)
	case errors.As(cause, &sig):
		return fmt.Errorf("%w: %s", sig, afterInterrupt(cmd))
	case errors.As(cause, &late) && !errors.As(err, &late):
		return fmt.Errorf("%w: %w", late, err)
	}
	return err
}

// afterInterrupt says what a stopped command left behind, which is the first thing the person who stopped it asks.
func afterInterrupt(cmd *cobra.Command) string {
	if text := cmd.Annotations[onInterrupt]; text != "" {
		return text
	}
	return "nothing was changed"
}

// onInterrupt is the annotation in which a command says what is true after a signal stopped it.
const onInterrupt = "on-interrupt"

func newRoot(s streams) *cobra.Command {
	g := &global{streams: s, now: time.Now}
	stop, format := func() {}, ""
	root := &cobra.Command{
		Use:           "lifeboat",
		Short:         "Back up etcd into object storage and prove that it can be restored",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd, os.LookupEnv); err != nil {
				return err
			}
			err := checkLogFormat(format)
			if err != nil {
				return err
			}
			stop, err = bound(cmd)
			return err
		},
		PersistentPostRun: func(*cobra.Command, []string) { stop() },
	}
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetIn(s.in)
	root.PersistentFlags().StringVar(&format, logFormatFlag, "text", "`FORMAT` of what goes to stderr: text or json, a document a line")
	root.CompletionOptions.HiddenDefaultCmd = false
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{flagComplaint(err), fmt.Sprintf("`%s --help` lists the flags", cmd.CommandPath())}
	})
	root.AddCommand(
		newBackup(g), newRun(g), newObserve(g), newStatus(g), newList(g), newShow(g), newVerify(g), newCopy(g), newRestore(g), newRehearse(g),
		newAccept(g), newHold(g), newRelease(g), newPrune(g), newDoctor(g), newGuard(g), newKey(g), newSink(g), newDemo(g), newVersion(g),
	)
	usageErrors(root)
	return root
}

// flagComplaint says in our users' words what the parsers of flags say in Go's.
func flagComplaint(err error) string {
	text := err.Error()
	before, _, _ := strings.Cut(text, ": strconv.")
	if before != text {
		if strings.Contains(text, "ParseBool") {
			return before + ": it is neither true nor false"
		}
		return before + ": it is not a whole number"
	}
	if before, _, found := strings.Cut(text, ": time: "); found {
		return before + ": it is not a duration; days are written in hours, as in 72h"
	}
	return strings.TrimPrefix(text, "time: ")
}

// argumentComplaint says what is wrong with the number of arguments, or with a name of a command, and how it is written.
func argumentComplaint(cmd *cobra.Command, args []string) *usageError {
	path := cmd.CommandPath()
	switch hint := "it is used as in: " + strings.TrimSuffix(cmd.UseLine(), " [flags]") + "; `" + path + " --help` tells more"; {
	case len(args) == 0:
		return &usageError{fmt.Sprintf("something is missing after `%s`", path), hint}
	case cmd.HasSubCommands():
		hint = fmt.Sprintf("`%s --help` lists the commands", path)
		cmd.SuggestionsMinimumDistance = 2 // as many letters may be wrong
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("is it `%s %s`? %s", path, near[0], hint)
		}
		return &usageError{fmt.Sprintf("there is no command `%s %s`", path, args[0]), hint}
	case len(args) == 1:
		return &usageError{fmt.Sprintf("`%s` is followed by %q, and takes only flags", path, args[0]), hint}
	default:
		return &usageError{fmt.Sprintf("too much follows `%s`: %s", path, strings.Join(args, " ")), hint}
	}
}

// usageErrors makes every complaint about arguments exit 2 with a hint, in every command below root.
func usageErrors(root *cobra.Command) {
	check := root.Args
	if check == nil {
		check = cobra.ArbitraryArgs
	}
	root.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return argumentComplaint(cmd, args)
		}
		return nil
	}
	for _, c := range root.Commands() {
		usageErrors(c)
	}
}

// variable is the twin of a flag in the environment.
func variable(flag string) string {
	return "LIFEBOAT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment gives each flag that was not set on the command line the value of its LIFEBOAT_<FLAG> twin. Unknown
// LIFEBOAT_ variables are ignored: Kubernetes injects some (LIFEBOAT_PORT) for a Service of our name.
func fromEnvironment(cmd *cobra.Command, lookup func(string) (string, bool)) error {
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || failed != nil {
			return
		}
		name := variable(f.Name)
		value, ok := lookup(name)
		if !ok || value == "" {
			return
		}
		values := []string{value}
		if f.Value.Type() == "stringArray" {
			values = strings.Fields(value)
		}
		for _, v := range values {
			if err := cmd.Flags().Set(f.Name, v); err != nil {
				failed = &usageError{fmt.Sprintf("%s: %s", name, flagComplaint(err)), fmt.Sprintf("it stands for --%s; unset it or mend it", f.Name)}
				return
			}
		}
	})
	return failed
}
