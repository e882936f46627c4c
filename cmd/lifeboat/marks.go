package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// decision is what `accept`, `hold` and `release` work on: a bucket to write marks into, and the keys that sign them.
type decision struct {
	*bucket
	signers []note.Signer
}

func (f *flags) decision(g *global, cmd *cobra.Command) (*decision, error) {
	b, err := f.bucket(cmd.Context(), g, cmd)
	if err != nil {
		return nil, err
	}
	signers, err := f.signers(b.trust)
	if err != nil {
		return nil, err
	}
	if b.trust.Verifiers != nil && len(signers) == 0 {
		return nil, &usageError{"keys are trusted, so a mark without a signature would be ignored", "give --signing-key-file"}
	}
	return &decision{b, signers}, nil
}

// mark writes what was decided into every sink that holds the backup, and says in each what is true now.
func (d *decision) mark(ctx context.Context, g *global, e catalog.Entry, m catalog.Mark, said ...string) error {
	m.ID, m.Cluster, m.Time = e.ID, e.Cluster, g.now()
	if !m.Time.After(e.Decided) { // the last one wins, and a clock was ahead when that was written
		m.Time = e.Decided.Add(time.Microsecond)
	}
	var failed []error
	for _, s := range d.holding(e) {
		if err := catalog.PutMark(ctx, s, m, d.signers...); err != nil {
			failed = append(failed, err)
			continue
		}
		for _, what := range said {
			fmt.Fprintf(g.err, "lifeboat: %s in %s: %s\n", past(m.Mark), s.Name, what)
		}
	}
	if len(failed) > 0 && len(failed) < len(e.Sinks) {
		again := fmt.Sprintf("%s it again, with that --sink alone, once it can be written", m.Mark)
		return &partlyDone{oneLine(errors.Join(failed...).Error()), again, failed}
	}
	if len(failed) == 0 && len(d.unread) > 0 {
		return d.notEverywhere(m.Mark, fmt.Sprintf("%s in %s", past(m.Mark), strings.Join(e.Sinks, ", ")))
	}
	return errors.Join(failed...)
}

// nothingToDo says that what was found needs no mark, which is all there is to say only if everything could be looked at.
func (d *decision) nothingToDo(g *global, k catalog.MarkKind, why string) error {
	if len(d.unread) > 0 {
		return d.notEverywhere(k, why)
	}
	fmt.Fprintf(g.err, "lifeboat: %s\n", why)
	return nil
}

// notEverywhere is the end of a command that did what it could while some sinks could not be read.
func (d *decision) notEverywhere(k catalog.MarkKind, done string) error {
	var names []string
	var causes []error
	for _, p := range d.unread {
		names, causes = append(names, p.Sink), append(causes, p)
	}
	back := "it is"
	if len(names) > 1 {
		back = "they are"
	}
	return &partlyDone{
		fmt.Sprintf("%s; %s could not be read, so nothing is %s there", done, strings.Join(names, ", "), past(k)),
		fmt.Sprintf("%s it again once %s back", k, back), causes,
	}
}

func past(k catalog.MarkKind) string {
	switch k {
	case catalog.MarkAccept:
		return "accepted"
	case catalog.MarkHold:
		return "held"
	}
	return "released"
}
