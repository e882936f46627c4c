package main

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/backup/prune"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/guard"
	"github.com/lifeboat-dr/lifeboat/internal/demo"
	"github.com/lifeboat-dr/lifeboat/observe"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
	"github.com/lifeboat-dr/lifeboat/scheduler"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/open"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// The exit codes are a contract with scripts and with the chart's podFailurePolicy: a code never changes its meaning.
const (
	exitDone         = 0
	exitUnexpected   = 1
	exitUsage        = 2   // usage or configuration
	exitPartly       = 3   // partly done: some sinks, or no quorum
	exitEtcd         = 4   // etcd unreachable, unhealthy or forbidden
	exitSink         = 5   // sink unreachable or forbidden
	exitNoBackup     = 6   // no such backup
	exitDamaged      = 7   // bytes that are not what was written
	exitNoKey        = 8   // no key opens it
	exitRefused      = 9   // refused for safety
	exitRehearsal    = 10  // the rehearsal ran and failed
	exitStale        = 11  // status: the newest usable backup is too old
	exitNotAuthentic = 12  // signature or rollback
	exitInterrupt    = 130 // SIGINT; SIGTERM is 143, SIGHUP 129
)

// meaningOf says a code in words.
func meaningOf(code int) string {
	switch code {
	case exitDone:
		return "done"
	case exitUsage:
		return "usage or configuration"
	case exitPartly:
		return "partly done"
	case exitEtcd:
		return "etcd unreachable, unhealthy or forbidden"
	case exitSink:
		return "sink unreachable or forbidden"
	case exitNoBackup:
		return "no such backup"
	case exitDamaged:
		return "damaged"
	case exitNoKey:
		return "no key opens it"
	case exitRefused:
		return "refused for safety"
	case exitRehearsal:
		return "rehearsal ran and failed"
	case exitStale:
		return "stale"
	case exitNotAuthentic:
		return "not authentic"
	}
	if code > 128 {
		return "interrupted"
	}
	return "unexpected"
}

// outcomes are the words for codes in metrics: a closed set.
func outcomes() map[int]string {
	return map[int]string{
		exitDone: observe.Done, exitUnexpected: "unexpected", exitUsage: "usage", exitPartly: "partly", exitEtcd: "etcd", exitSink: "sink", exitNoBackup: "no-backup",
		exitDamaged: "damaged", exitNoKey: "no-key", exitRefused: "refused", exitRehearsal: "rehearsal-failed", exitStale: "stale", exitNotAuthentic: "not-authentic",
		exitInterrupt: "interrupted",
	}
}

// outcomeOf says a code in a word.
func outcomeOf(code int) string {
	word, known := outcomes()[code]
	switch {
	case known:
		return word
	case code > 128:
		return outcomes()[exitInterrupt]
	}
	return outcomes()[exitUnexpected]
}

// usageError is a mistake in what was asked for; hint says what to write instead.
type usageError struct{ message, hint string }

func (e *usageError) Error() string { return e.message }
func (e *usageError) Hint() string  { return e.hint }

// partlyDone carries a result that was printed but is less than what was asked for. Causes are there for their hints.
type partlyDone struct {
	message, hint string
	causes        []error
}

func (e *partlyDone) Error() string   { return e.message }
func (e *partlyDone) Hint() string    { return e.hint }
func (e *partlyDone) Unwrap() []error { return e.causes }

// notProven is a rehearsal that ran and failed; remedy is "" where the backup is to blame.
type notProven struct{ reason, remedy string }

func (e *notProven) Error() string { return e.reason }
func (e *notProven) Hint() string {
	if e.remedy != "" {
		return e.remedy
	}
	return "do not rely on this backup: rehearse an older one with `lifeboat rehearse before:TIME`, and find out what damaged this one"
}

// exitCode maps an error to its code. What a person must act on first wins: a signal, then what was asked, then
// authenticity before damage before keys, and the plain unreachable last, because the others are often wrapped in it.
func exitCode(ctx context.Context, err error) int {
	var (
		sig     interrupted
		usage   *usageError
		partly  *partlyDone
		failed  *notProven
		demoed  *demo.DifferentError
		binary  *rehearsal.BinaryError
		badKey  *crypto.KeyError
		refusal *restore.Refusal
		unsafe  *prune.UnsafeError
		sink    *sinks.Error
		late    timedOut
		overdue *scheduler.TimeoutError
		stale   *staleError
		after   *afterwards
		noRun   *guard.NotRunnableError
		doubt   *refused
		sick    *ailing
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &after):
		return after.code
	case errors.As(context.Cause(ctx), &sig):
		return sig.code()
	case errors.As(err, &partly):
		return exitPartly
	case errors.Is(err, crypto.ErrPassphrase): // a *crypto.KeyError too
		return exitNoKey
	case errors.As(err, &usage), errors.As(err, &badKey), errors.Is(err, snapshot.ErrConfig), errors.Is(err, restore.ErrUsage),
		errors.Is(err, open.ErrUsage), errors.Is(err, catalog.ErrSeveralClusters), errors.Is(err, catalog.ErrUsage), errors.As(err, &binary),
		errors.As(err, &noRun):
		return exitUsage
	case errors.As(err, &failed), errors.As(err, &demoed):
		return exitRehearsal
	case errors.As(err, &stale):
		return exitStale
	case errors.As(err, &late), errors.As(err, &overdue):
		return exitUnexpected // whatever it was waiting for, that need not be at fault
	case errors.Is(err, catalog.ErrNotAuthentic):
		return exitNotAuthentic
	case errors.As(err, &refusal), errors.As(err, &unsafe), errors.As(err, &doubt), errors.Is(err, catalog.ErrUnsupported):
		return exitRefused
	case errors.Is(err, crypto.ErrNoIdentity):
		return exitNoKey
	case errors.Is(err, crypto.ErrDamaged), errors.Is(err, catalog.ErrDamaged), errors.Is(err, snapshot.ErrDamaged):
		return exitDamaged
	case errors.Is(err, catalog.ErrNotFound):
		return exitNoBackup
	case errors.As(err, &sick), errors.Is(err, snapshot.ErrUnavailable), errors.Is(err, snapshot.ErrStale):
		return exitEtcd
	case errors.As(err, &sink):
		return exitSink
	}
	return exitUnexpected
}

// hintOf is what one error advises: those of our packages keep it in a field or give it by a method.
func hintOf(err error) string {
	switch e := err.(type) {
	case *sinks.Error:
		return e.Hint
	case *snapshot.EndpointError:
		return e.Hint
	case *crypto.KeyError:
		return e.Hint
	case *crypto.NoIdentityError:
		return "give the identity of a recipient it was sealed to with --identity; `lifeboat show` names their fingerprints"
	case *catalog.SeveralClustersError:
		return "choose one with --cluster: " + strings.Join(e.Clusters, ", ")
	case interface{ Hint() string }:
		return e.Hint()
	}
	return ""
}

// hintsOf collects the advice of every error in the tree, the outermost first, each once.
func hintsOf(err error) []string {
	var hints []string
	seen := map[string]bool{}
	var walk func(error)
	walk = func(e error) {
		if e == nil {
			return
		}
		if h := hintOf(e); h != "" && !seen[h] {
			seen[h] = true
			hints = append(hints, h)
		}
		switch u := e.(type) {
		case interface{ Unwrap() error }:
			walk(u.Unwrap())
		case interface{ Unwrap() []error }:
			for _, inner := range u.Unwrap() {
				walk(inner)
			}
		}
	}
	walk(err)
	var unexpected *notExpected
	var disputed *catalog.DisputedError
	switch {
	case errors.As(err, &unexpected), errors.As(err, &disputed): // something was replaced, and going without signatures is the last thing to do
	case errors.Is(err, catalog.ErrNotAuthentic):
		hints = append(hints, "a backup from before signing was turned on opens with --accept-unsigned; after a change of keys the old public key must stay in --trusted-keys-file")
	}
	if errors.Is(err, snapshot.ErrSpool) {
		hints = append(hints, "name a directory that can be written and has room for the database with --spool-dir")
	}
	if len(hints) > 0 {
		return hints
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return []string{"make room on that disk, or name another one, and run it again"}
	}
	return nil
}
