package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/backup/prune"
	"github.com/lifeboat-dr/lifeboat/internal/kubeevent"
)

// Kubernetes lets a pod go on for 30 s after SIGTERM, and whoever sent a signal waits: no Event is worth more than eventAfterSignal then.
const (
	eventTimeout     = 10 * time.Second
	eventAfterSignal = 2 * time.Second
)

const eventsFlag = "kubernetes-events"

// registerEvents is for the commands that are jobs, and for who runs them.
func registerEvents(fl *pflag.FlagSet, on *bool) {
	fl.BoolVar(on, eventsFlag, false, "in a pod: make a Kubernetes Event of how it ended, about the Job or the Pod")
}

// eventFacts are what a job has found out for whoever is told of its end. Facts say it in a few words; they are the note of an Event.
type eventFacts struct {
	facts   []string
	suspect bool // a backup does not continue its cluster's history
}

func (f *eventFacts) add(format string, args ...any) {
	f.facts = append(f.facts, fmt.Sprintf(format, args...))
}

func (f *eventFacts) backup(r *backup.Result) {
	m := r.Manifest
	f.add("%s, revision %d, %s, in %d of %d sinks", m.ID, m.Revision, bytesText(m.Sealed.Size), len(r.Sinks)-len(r.Failed()), len(r.Sinks))
	if len(r.Suspect) > 0 {
		f.suspect = true
		f.add("suspect: %s", strings.Join(r.Suspect, ", "))
	}
}

func (f *eventFacts) verified(results []verifiedJSON, deep bool) {
	whole := 0
	for _, r := range results {
		if r.OK {
			whole++
		}
	}
	how := "read"
	if deep {
		how = "opened"
	}
	f.add("%d copies %s and whole", whole, how)
}

func (f *eventFacts) pruned(plan *prune.Plan, r *prune.Result) {
	if r == nil {
		f.add("%d backups could be removed; only looked", len(plan.Removals()))
		return
	}
	f.add("%d backups removed, %s freed", len(r.Removed), bytesText(r.Bytes))
}

// told does what a command is for, and makes an Event of how it ended if that was asked for.
func (f *flags) told(g *global, cmd *cobra.Command, job string, do func() error) error {
	if !f.events {
		return do()
	}
	pod, err := podHere()
	if err != nil {
		return err
	}
	if err = do(); err != nil {
		err = ended(cmd, err)
	}
	tellKubernetes(cmd.Context(), g, pod, eventOf(cmd.Context(), job, f.cluster, f.found, err))
	return err
}

// podHere is the pod that this process runs in; that there is none is a mistake of whoever asked for Events.
func podHere() (*kubeevent.Pod, error) {
	pod, err := kubeevent.Here(os.LookupEnv, kubeevent.Account)
	if err != nil {
		return nil, &usageError{"--" + eventsFlag + ": " + err.Error(), hintOf(err)}
	}
	return pod, nil
}

// tellKubernetes makes an Event. That this fails is a warning: what was done is done.
func tellKubernetes(ctx context.Context, g *global, pod *kubeevent.Pod, e kubeevent.Event) {
	timeout := eventTimeout
	if errors.As(context.Cause(ctx), new(interrupted)) {
		timeout = eventAfterSignal
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	e.Time = g.now()
	if err := pod.Make(ctx, e); err != nil {
		g.warnf("no Kubernetes Event could be made: %v", err)
		if hint := hintOf(err); hint != "" {
			fmt.Fprintf(g.err, "lifeboat: hint: %s\n", hint)
		}
	}
}

// reasons are the closed set of what an Event may be called, for each job.
type reasons struct{ action, done, partly, failed, interrupted string }

func reasonsOf(job string) reasons {
	switch job {
	case "backup":
		return reasons{"Backup", "BackupCommitted", "BackupPartlyDone", "BackupFailed", "BackupInterrupted"}
	case "verify":
		return reasons{"Verify", "VerifyPassed", "VerifyFailed", "VerifyFailed", "VerifyInterrupted"}
	case "cross-check":
		return reasons{"CrossCheck", "CrossCheckPassed", "CrossCheckFailed", "CrossCheckFailed", "CrossCheckInterrupted"}
	case "rehearse":
		return reasons{"Rehearse", "RehearsalProven", "RehearsalNotRun", "RehearsalNotRun", "RehearsalInterrupted"}
	}
	return reasons{"Prune", "PruneDone", "PrunePartlyDone", "PruneFailed", "PruneInterrupted"}
}

// eventOf says how a job ended.
func eventOf(ctx context.Context, job, cluster string, found eventFacts, err error) kubeevent.Event {
	all, code := reasonsOf(job), exitCode(ctx, err)
	e := kubeevent.Event{Action: all.action, Reason: all.failed, Warning: true}
	switch {
	case code > 128:
		e.Reason = all.interrupted
	case found.suspect:
		e.Reason = "BackupSuspect"
	case code == exitDone:
		e.Reason, e.Warning = all.done, false
	case code == exitPartly:
		e.Reason = all.partly
	case code == exitRehearsal:
		e.Reason = "RehearsalFailed"
	}
	parts := slices.Clone(found.facts)
	if err != nil {
		parts = append(parts, err.Error())
	}
	for _, hint := range hintsOf(err) {
		parts = append(parts, "hint: "+hint)
	}
	if len(parts) == 0 {
		parts = append(parts, meaningOf(code))
	}
	if cluster != "" {
		parts[0] = "cluster " + cluster + ": " + parts[0]
	}
	e.Note = visible(oneLine(strings.Join(parts, "; ")))
	return e
}
