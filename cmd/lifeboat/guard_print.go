package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/guard"
	"github.com/lifeboat-dr/lifeboat/internal/shell"
)

// guardedJSON is `guard -o json`.
type guardedJSON struct {
	Outcome  string             `json:"outcome"` // done, refused, failed, unwell, interrupted
	Error    string             `json:"error,omitempty"`
	Command  commandJSON        `json:"command"`
	Before   *guard.State       `json:"before,omitempty"`
	Backup   *guardedBackupJSON `json:"backup,omitempty"`
	After    *guard.State       `json:"after,omitempty"`
	Compared *guard.Comparison  `json:"compared,omitempty"`
	Rollback []rollbackJSON     `json:"rollback"`
	Release  string             `json:"release,omitempty"` // ends the hold
}

type commandJSON struct {
	Args     []string `json:"args"`
	Ran      bool     `json:"ran"`
	ExitCode *int     `json:"exit_code,omitempty"` // absent if it did not exit by itself
	Signal   string   `json:"signal,omitempty"`
	Seconds  float64  `json:"seconds,omitempty"`
}

type guardedBackupJSON struct {
	ID       catalog.ID `json:"id"`
	Revision int64      `json:"revision"`
	Sinks    []string   `json:"sinks"`
	Verified string     `json:"verified,omitempty"` // deep or read-back
	Held     bool       `json:"held"`
	HeldFor  string     `json:"held_for,omitempty"`
}

// rollbackJSON is one way back.
type rollbackJSON struct {
	Title    string   `json:"title"`
	Commands []string `json:"commands"`
}

func (c *commandJSON) ended(o guard.Outcome) {
	c.Ran, c.Seconds = true, o.Took.Seconds()
	if o.ExitCode >= 0 {
		c.ExitCode = &o.ExitCode
	}
	if o.Signal != 0 {
		c.Signal = o.Signal.String()
	}
}

// release is the command that ends the hold.
func (r *guarding) release() string {
	args := []string{"lifeboat", "release", string(r.entry.ID), "--reason", "not needed any more"}
	return shell.Words(append(args, r.reach()...))
}

// reach are the flags with which a mark is written to the sinks again.
func (r *guarding) reach() []string {
	f := r.flags
	f.identities, f.identityPassphraseFile = nil, ""
	args := f.access()
	if f.signingKeyFile != "" {
		args = append(args, "--signing-key-file", absolute(f.signingKeyFile))
	}
	return args
}

// rollback are the ways back to the backup, each a command to be run as it is; but nobody knows the file of a key that was not given.
func (r *guarding) rollback() []rollbackJSON {
	access := r.access()
	if r.entry.Manifest.Sealed.Encrypted() && len(r.identities) == 0 {
		access = append(access, "--identity", "IDENTITY-FILE")
	}
	if v := oldest(r.out.Before.Members); v != "" {
		access = append(access, "--etcd-version", v)
	}
	if r.entry.Suspect.Unseen { // a sink could not be read, and may not be then
		access = append(access, "--accept-suspect")
	}
	restore := func(args ...string) []string {
		return []string{shell.Words(append(append([]string{"lifeboat", "restore", string(r.entry.ID)}, args...), access...))}
	}
	others := ""
	if !r.cmd.Flags().Changed("runbook") {
		others = " (--runbook systemd, k3s and talos are the others)"
	}
	return []rollbackJSON{
		{"print every step of the way back for " + r.kind + others, restore("--runbook", r.kind)},
		{"or make the data directory of every member in this directory", restore("--out", "etcd-"+string(r.entry.ID))},
	}
}

// oldest is the minor version that the member with the oldest etcd runs, "" if nobody told: what the data is to run on again.
func oldest(members []guard.Member) string {
	var lowest [2]int
	for _, m := range members {
		parts := strings.SplitN(m.Version, ".", 3)
		if len(parts) < 3 {
			continue
		}
		major, err1 := strconv.Atoi(parts[0])
		minor, err2 := strconv.Atoi(parts[1])
		if err1 != nil || err2 != nil {
			continue
		}
		if v := [2]int{major, minor}; lowest == [2]int{} || v[0] < lowest[0] || v[0] == lowest[0] && v[1] < lowest[1] {
			lowest = v
		}
	}
	if lowest == [2]int{} {
		return ""
	}
	return fmt.Sprintf("%d.%d", lowest[0], lowest[1])
}

// tellState says in a line what the cluster is like; what is wrong with it is for whoever decides over that.
func (s streams) tellState(when string, state guard.State) {
	var members []string
	for _, m := range state.Members {
		text := cmp.Or(m.Name, m.ID.String())
		switch {
		case !m.Answered:
			text += " (no answer)"
		case m.Leader:
			text += " " + m.Version + " (leader)"
		case m.Learner:
			text += " " + m.Version + " (learner)"
		default:
			text += " " + m.Version
		}
		members = append(members, text)
	}
	if len(members) == 0 {
		fmt.Fprintf(s.err, "lifeboat: %s: nobody answers\n", when)
		return
	}
	fmt.Fprintf(s.err, "lifeboat: %s: cluster %s, revision %d: %s\n", when, state.ClusterID, state.Revision, visible(strings.Join(members, ", ")))
}

// finish says what the run came to and how to go on.
func (r *guarding) finish(err error) error {
	r.out.Outcome = r.outcome(err)
	if err != nil {
		r.out.Error = oneLine(err.Error())
	}
	if r.out.Command.Ran {
		r.tellWays(err)
	}
	if r.output == "json" {
		return errors.Join(err, r.g.printJSON(r.out.whole()))
	}
	return err
}

// tellWays prints the way back where it may be needed, and what ends the hold.
func (r *guarding) tellWays(err error) {
	if err != nil {
		fmt.Fprintf(r.g.err, "lifeboat: to go back to what was before %s, which loses what was written since (first read docs/runbooks/upgrade-gone-wrong.md):\n", r.target.Args[0])
	} else {
		fmt.Fprintf(r.g.err, "lifeboat: %s is held. Should the need to go back show later:\n", r.entry.ID)
	}
	for _, way := range r.out.Rollback {
		fmt.Fprintf(r.g.err, "  %s\n", way.Title)
		for _, c := range way.Commands {
			fmt.Fprintf(r.g.err, "    %s\n", c)
		}
	}
	fmt.Fprintf(r.g.err, "  once it is not needed any more, end the hold\n    %s\n", r.out.Release)
}

func (r *guarding) outcome(err error) string {
	var after *afterwards
	var sig interrupted
	switch {
	case err == nil:
		return "done"
	case errors.As(context.Cause(r.cmd.Context()), &sig):
		return "interrupted"
	case !errors.As(err, &after):
		return "refused"
	case after.code == exitEtcd:
		return "unwell"
	case after.code > 128:
		return "interrupted"
	}
	return "failed"
}

// whole gives lists without items the form that JSON readers are promised.
func (j guardedJSON) whole() guardedJSON {
	for _, s := range []*guard.State{j.Before, j.After} {
		if s != nil {
			s.Members, s.Problems = append([]guard.Member{}, s.Members...), append([]guard.Problem{}, s.Problems...)
		}
	}
	if c := j.Compared; c != nil {
		c.Lost, c.Changes = append([]string{}, c.Lost...), append([]string{}, c.Changes...)
		c.Problems, c.Remaining = append([]guard.Problem{}, c.Problems...), append([]guard.Problem{}, c.Remaining...)
	}
	j.Rollback = append([]rollbackJSON{}, j.Rollback...)
	return j
}
