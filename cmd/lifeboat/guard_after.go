package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/guard"
	"github.com/lifeboat-dr/lifeboat/internal/shell"
)

// runIt runs the command and looks at what it did. From here on nothing but the command's end ends us, so the context is one of its own.
func (r *guarding) runIt(ctx context.Context, o backup.Options) error {
	fmt.Fprintf(r.g.err, "lifeboat: running %s; the way back, should this be the last you read: %s\n", shell.Words(r.target.Args), r.out.Rollback[0].Commands[0])
	stdout := r.g.out
	if r.output == "json" {
		stdout = r.g.foreign()
	}
	ended, err := r.target.Run(ctx, r.g.in, stdout, r.g.foreign())
	if err != nil {
		return r.notRun(err)
	}
	ctx = context.WithoutCancel(ctx)
	r.cmd.SetContext(ctx)
	r.out.Command.ended(ended)
	fmt.Fprintf(r.g.err, "lifeboat: %s %s after %s\n", r.target.Args[0], ended, ended.Took.Round(time.Millisecond))

	ctx, stop := untilSignal(ctx)
	defer stop()
	after, compared, err := guard.Waiting{
		Limit: r.settle, Reached: r.out.Backup.Revision,
		Look: func(ctx context.Context) (guard.State, error) { return guard.Look(ctx, o.Etcd, r.check, r.g.now()) },
		Told: func(wrong string) {
			if wrong != "" {
				fmt.Fprintf(r.g.err, "lifeboat: waiting up to %s for the cluster: %s\n", r.settle, visible(wrong))
			}
		},
	}.Settle(ctx, *r.out.Before)
	if !after.Time.IsZero() {
		r.out.After, r.out.Compared = &after, &compared
		r.g.tellState("after", after)
	}
	for _, c := range compared.Changes {
		fmt.Fprintf(r.g.err, "lifeboat: changed: %s\n", visible(c))
	}
	for _, p := range compared.Remaining {
		r.g.warnf("as before: %s", p.Detail)
	}
	return r.judge(ended, compared, err)
}

// judge says what the run came to. stopped is why the cluster was not waited for to the end.
func (r *guarding) judge(ended guard.Outcome, c guard.Comparison, stopped error) error {
	const look = "look at the cluster before anything else is done to it"
	name := r.target.Args[0]
	did := fmt.Sprintf("%s %s", name, ended)
	var sig interrupted
	switch {
	case errors.As(stopped, &sig):
		return &afterwards{sig.code(), fmt.Sprintf("%v while waiting for the cluster; %s", sig, did), look}
	case stopped != nil:
		return &afterwards{exitUnexpected, fmt.Sprintf("%s, and the cluster could not be looked at: %v", did, stopped), look}
	case len(c.Lost) > 0:
		return &afterwards{
			exitEtcd, fmt.Sprintf("%s, and the cluster is not the one of before: %s", did, c.Text()),
			"stop every API server before it acts on what is there now; then go back as printed",
		}
	case !c.OK():
		return &afterwards{
			exitEtcd, fmt.Sprintf("%s, and the cluster is not as well as before, %s later: %s", did, r.settle, c.Text()),
			"a restore is the last resort: while there is quorum, mend the members that are named; `lifeboat doctor` says how",
		}
	case ended.OK():
		return nil
	case ended.Passed == syscall.SIGINT, ended.Passed == syscall.SIGTERM:
		sig = interrupted{ended.Passed}
		return &afterwards{sig.code(), fmt.Sprintf("%v while %s ran, which %s; the cluster is as well as before", sig, name, ended), "find out how far it came: what it did is not undone"}
	}
	return &afterwards{exitUnexpected, did + "; the cluster is as well as before", "find out how far it came: what it did is not undone"}
}

// afterwards is how a run ended whose command ran: what the cluster is like then weighs more than a signal that came meanwhile.
type afterwards struct {
	code          int
	message, hint string
}

func (e *afterwards) Error() string { return e.message }
func (e *afterwards) Hint() string  { return e.hint }
