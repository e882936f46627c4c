// Package prune removes the backups that a policy no longer keeps, and what belongs to no backup, from every sink.
//
// It looks first and removes later, only what Look told, and only after looking again: a hold, an acceptance or a backup that came meanwhile
// counts. It refuses to remove anything while it cannot see everything, and it never removes what it cannot read, what no
// trusted key signed where keys are trusted, or anything that would change what `latest` means.
package prune

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/retention"
	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Options say what to prune, and by which rules.
type Options struct {
	Cluster string // may be empty where the sinks hold a single one
	Sinks   []catalog.Named
	Trust   catalog.Trust
	Policy  retention.Policy
	Now     func() time.Time
	Log     *slog.Logger
}

// A Plan is what is there and what becomes of it.
type Plan struct {
	Listing catalog.Listing
	Lines   []Line // every backup that can be read, oldest first
	Garbage []Garbage
	// Warnings are sentences about what stays for another reason than the policy.
	Warnings []string

	stock  *catalog.Stock
	frozen map[string]string // which lineage freezes which, by their first backups
	now    time.Time
	o      Options
}

// A Line is the decision about one backup.
type Line struct {
	catalog.Entry
	retention.Decision
}

// Bytes is how much the payloads of a backup take in all the sinks that hold it.
func (l Line) Bytes() int64 { return l.Manifest.Sealed.Size * int64(len(l.Sinks)) }

// Garbage is what lies in one sink and belongs to no backup. Only the first Shown objects are kept by name.
type Garbage struct {
	Sink    string
	Objects int
	Bytes   int64    // of the objects
	Uploads int      // begun more than a day ago, and never completed
	Names   []string // of the first of both
}

// Shown is how many pieces of garbage a plan names for each sink.
const Shown = 20

// An UnreadableError says that not everything could be seen, so nothing is removed.
type UnreadableError struct{ Err error }

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("nothing was removed, because not everything could be read: %v", e.Err)
}

func (e *UnreadableError) Unwrap() error { return e.Err }

// Hint tells what to do.
func (e *UnreadableError) Hint() string {
	return "what cannot be read may be a hold or a newer suspect backup: prune again once every sink can be read, or leave this one out of the sinks and prune it by itself later"
}

// Look reads every sink and decides. It removes nothing. Errors are *UnreadableError where not everything could be seen, and match
// catalog.ErrUnsupported where a newer version of Lifeboat keeps something here that this one does not know.
func Look(ctx context.Context, o Options) (*Plan, error) {
	p, err := look(ctx, o, nil)
	if err != nil || p.stock == nil {
		return p, err
	}
	return p, p.lookForGarbage(ctx)
}

// look reads and judges; with lines, whether they may go, whatever the limit of one run.
func look(ctx context.Context, o Options, due []Line) (*Plan, error) {
	p := &Plan{o: o, now: o.Now()}
	var err error
	if p.Listing, err = catalog.List(ctx, o.Sinks, o.Cluster, o.Trust); err != nil {
		return nil, unreadable(err)
	}
	if err := p.refusals(); err != nil {
		return nil, err
	}
	if p.Listing.Cluster == "" {
		return p, nil // the sinks are empty
	}
	p.o.Cluster = p.Listing.Cluster
	if p.stock, err = catalog.TakeStock(ctx, o.Sinks, p.Listing.Cluster); err != nil {
		return nil, unreadable(err)
	}
	if c := p.stock.Clock(); !c.IsZero() && c.Before(p.now) {
		p.now = c // a host's clock that runs ahead must not make backups look due, or old
	}
	p.decide()
	for i, l := range p.Lines {
		// What was within the limit when the run began, still is.
		if l.Verdict == retention.Later && slices.ContainsFunc(due, func(d Line) bool { return d.Entry.ID == l.Entry.ID }) {
			p.Lines[i].Decision = retention.Decision{ID: l.Decision.ID, Verdict: retention.Remove}
		}
	}
	p.leaveSome()
	return p, p.check()
}

// unreadable leaves alone what is no failure of reading.
func unreadable(err error) error {
	if of := (*sinks.Error)(nil); errors.As(err, &of) {
		return &UnreadableError{err}
	}
	return err
}

// refusals are what forbids to remove anything at all.
func (p *Plan) refusals() error {
	for _, problem := range p.Listing.Problems {
		unsupported := errors.Is(problem, catalog.ErrUnsupported)
		known := unsupported || errors.Is(problem, catalog.ErrDamaged) || errors.Is(problem, catalog.ErrNotAuthentic)
		switch {
		case unsupported && problem.Key == catalog.ManifestKey(p.Listing.Cluster, problem.ID):
			return fmt.Errorf("nothing was removed, because a newer version keeps something here that may need what this one would remove: %w", problem)
		case !known:
			return &UnreadableError{problem}
		}
	}
	return nil
}

// decide asks the policy, and says what else stays.
func (p *Plan) decide() {
	backups := p.backups()
	p.frozen = retention.FrozenBy(backups)
	p.Lines = make([]Line, len(backups))
	for i, d := range p.o.Policy.Plan(p.now, backups) {
		p.Lines[i] = Line{p.Listing.Entries[i], d}
	}
	listed := make(map[catalog.ID]bool)
	for _, e := range p.Listing.Entries {
		listed[e.ID] = true
	}
	for _, problem := range p.Listing.Problems {
		if problem.ID != "" && !listed[problem.ID] {
			listed[problem.ID] = true
			p.warnf("backup %s is neither counted nor removed: %v", problem.ID, problem)
		}
	}
	for _, k := range p.stock.Sinks {
		switch {
		case k.HiddenErr != nil:
			p.warnf("orphans in %s are left, because what is hidden behind delete markers cannot be listed: %v", k.Sink.Name, k.HiddenErr)
		case len(k.Hidden) > 0:
			p.warnf("in %s the manifests of %d backups are hidden behind delete markers, which Lifeboat never makes: their payloads are left", k.Sink.Name, len(k.Hidden))
		}
	}
	if p.stock.Bare() {
		p.warnf("no sink has a single manifest: orphans are left, because it is more likely that the manifests were lost")
	}
}

func (p *Plan) warnf(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

// Removals are the backups that go, oldest first.
func (p *Plan) Removals() []Line {
	return slices.DeleteFunc(slices.Clone(p.Lines), func(l Line) bool { return l.Verdict != retention.Remove })
}

// Frozen names the first backups of the suspect lineages, none of which is accepted, that freeze older ones: what a person has to
// decide about.
func (p *Plan) Frozen() (suspects []catalog.ID) {
	for _, by := range p.frozen {
		if id := catalog.ID(by); !slices.Contains(suspects, id) {
			suspects = append(suspects, id)
		}
	}
	slices.Sort(suspects)
	return suspects
}
