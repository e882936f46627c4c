package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

type statusFlags struct {
	flags
	maxAge time.Duration
	expect string
}

func newStatus(g *global) *cobra.Command {
	f := &statusFlags{}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say on one page how well the cluster is backed up, and what needs a person",
		Long: `Say on one page what is in the sinks: the newest backup that latest means and its age, the newest that is proven and
with which key, lineages, what is missing in which sink, holds, gaps, and under ATTENTION what needs a person.

--max-age 30m fails where the newest usable backup holds the cluster as it was longer ago than that, or there is none.
Usable is one of an accepted lineage, unless its payload is missing or was found damaged in every sink.

The head is the end of the chain of backups: print it on the card for the day of the disaster. --expect HEAD fails where
the bucket no longer holds what it held then: an older state of it, or another. That backups were added since is fine,
and that old ones were pruned; to be sure against someone who can write to the bucket it takes --trusted-keys-file.

EXIT STATUS
  0 shown, whatever it says, 2 usage, 5 no sink could be read, 11 stale (--max-age), 12 not what was expected (--expect);
  where something is there and nothing of it can be used, what is wrong with it: 7 damaged, 12 not authentic`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(g, cmd) },
	}
	f.everywhere(cmd)
	f.storage(cmd)
	f.trusting(cmd)
	cmd.Flags().DurationVar(&f.maxAge, "max-age", 0, "fail (11) if the newest usable backup is older than this (0: any)")
	cmd.Flags().StringVar(&f.expect, "expect", "", "fail (12) if the bucket no longer holds this `HEAD` (ID:SEQUENCE:HASH, as status prints it) or what came after it")
	return cmd
}

// staleError says that the newest usable backup is too old, or that there is none.
type staleError struct {
	reason string
	// suspect is the newest of newer backups that are passed over until a person decides; "" if there are none.
	suspect catalog.ID
	lost    bool // the newest are there, and no sink has a whole copy of them
}

func (e *staleError) Error() string { return e.reason }
func (e *staleError) Hint() string {
	switch {
	case e.suspect != "":
		return fmt.Sprintf("newer backups are suspect, see ATTENTION: if the cluster's history was meant to change, lifeboat accept %s; if not, find out what happened to the cluster", e.suspect)
	case e.lost:
		return "backups are made, and their payloads are lost, see ATTENTION: run `lifeboat backup` now, and find out what removes or damages them"
	}
	return "run `lifeboat backup` by hand: it says what keeps it from working; then look at what should have run it"
}

func (f *statusFlags) run(g *global, cmd *cobra.Command) error {
	ctx := cmd.Context()
	if f.maxAge < 0 {
		return &usageError{fmt.Sprintf("--max-age %s is negative", f.maxAge), "use a duration such as 30m"}
	}
	var want catalog.Head
	if f.expect != "" {
		var err error
		if want, err = catalog.ParseHead(f.expect); err != nil {
			return &usageError{"--expect: " + err.Error(), "give the whole head that an earlier `lifeboat status` printed"}
		}
	}
	b, err := f.bucket(ctx, g, cmd)
	if err != nil {
		return err
	}
	l, err := b.list(ctx, g.streams)
	if err != nil {
		return err
	}
	if l.Cluster == "" {
		l.Cluster = f.cluster
	} else {
		b.findPayloads(ctx, g.streams, &l)
	}
	s := newStatusJSON(l, catalog.Hidden(ctx, b.sinks, l.Cluster), b, g.now())
	if f.maxAge > 0 {
		s.judgeAge(f.maxAge)
	}
	var unexpected error
	if f.expect != "" {
		if unexpected = l.Expect(want); unexpected != nil {
			s.attention("unexpected", "the bucket is not what was expected: %v", unexpected)
		}
	}
	if f.output == "json" {
		err = g.printJSON(s)
	} else {
		err = s.print(g)
	}
	switch {
	case err != nil:
		return err
	case unexpected != nil:
		return &notExpected{unexpected}
	case len(l.Entries) == 0 && len(l.Problems) > 0:
		return nothingUsable(l)
	case s.Stale:
		return &staleError{s.stale, s.suspect, s.lost}
	}
	return nil
}

// notExpected adds to a head that is not there what to do.
type notExpected struct{ error }

func (e *notExpected) Unwrap() error { return e.error }
func (e *notExpected) Hint() string {
	if p := (*catalog.Problem)(nil); errors.As(e.error, &p) && catalog.Unsigned(p) {
		return "the head is that of a backup nobody signed: if you wrote it down before signing was turned on, say --accept-unsigned, too; if not, somebody has taken the signature away"
	}
	if errors.Is(e.error, catalog.ErrNotAuthentic) {
		return "restore nothing from here before you know why: look for older versions of the objects, and into the other sinks, each with --sink and --expect"
	}
	return ""
}
