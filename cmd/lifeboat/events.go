package main

import (
	"context"
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

const eventTimeout = 10 * time.Second

const eventsFlag = "kubernetes-events"

// events makes Kubernetes Events of how jobs ended, if it was asked to: of a command, or of those of the service.
type events struct {
	on  bool
	pod *kubeevent.Pod // this one
}

func (e *events) register(fl *pflag.FlagSet) {
	fl.BoolVar(&e.on, eventsFlag, false, "in a pod: make a Kubernetes Event of how it ended, about the Job or the Pod")
}

// find finds out about the pod that this process runs in. That there is none is a mistake of whoever asked for Events.
func (e *events) find() error {
	if !e.on {
		return nil
	}
	pod, err := kubeevent.Here(os.LookupEnv, kubeevent.Account)
	if err != nil {
		return &usageError{"--" + eventsFlag + ": " + err.Error(), hintOf(err)}
	}
	e.pod = pod
	return nil
}

// tell makes an Event. That this fails is a warning: what was done is done.
func (e *events) tell(ctx context.Context, g *global, event kubeevent.Event) {
	if e.pod == nil {
		return
	}
	making, cancel := toTellOf(ctx, eventTimeout)
	defer cancel()
	event.Time = g.now()
	if err := e.pod.Make(making, event); err != nil {
		g.warnf("no Kubernetes Event could be made: %v", err)
		if hint := hintOf(err); hint != "" {
			fmt.Fprintf(g.err, "lifeboat: hint: %s\n", hint)
		}
	}
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
	if err := f.events.find(); err != nil {
		return err
	}
	err := do()
	how := err
	if how != nil {
		how = ended(cmd, how)
	}
	f.events.tell(cmd.Context(), g, eventOf(cmd.Context(), job, f.cluster, f.found, how))
	return err
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
