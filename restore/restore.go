// Package restore makes etcd data directories of a backup: it plans, checks, fetches, opens, verifies, and makes the
// directory of every member of a new cluster, or of one.
//
// It never touches an existing data directory, beyond giving it another name if it is asked to; it opens nothing before its digest was checked and lets no file of unknown
// content near this process: what reads or changes a database runs in a process of its own. It leaves either complete
// directories or none: until the last rename everything lies in a stage no etcd can start on.
package restore

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// A Step is a part of a restore, for progress and timings.
type Step string

// The steps, in their order.
const (
	StepFetch   Step = "fetch"   // the sealed object, and its digest
	StepOpen    Step = "open"    // decrypt, decompress, digest of the plain bytes
	StepInspect Step = "inspect" // structure, revision and HashKV of what came; the other members' files are begun
	StepEdit    Step = "edit"    // membership, alarms, HashKV of what was written, bump; the other members' files are there
	StepSync    Step = "sync"    // every member's file equal to the edited one, and on the disk
	StepFinish  Step = "finish"  // write-ahead logs, rename
)

// Deps are what a restore works with.
type Deps struct {
	Sinks      []catalog.Named // every sink that may have a copy; not needed for a local file
	Identities []age.Identity  // not needed for what is not encrypted
	Now        func() time.Time
	Log        *slog.Logger
	Progress   func(s Step, done, total int64) // bytes; may be nil, is never called by two goroutines at once
	StartsHere bool                            // the members start on this machine next: what they will read stays in memory as far as it fits

	named bool                     // test: files have names from the beginning, as where nameless ones cannot be made
	plain bool                     // test: names cannot be exchanged
	at    func(point string) error // test: called at every point where something has just been done
}

// settled fills in what may be left out.
func (d Deps) settled() Deps {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.at == nil {
		d.at = func(string) error { return nil }
	}
	return d
}

// A Timing is how long a step took.
type Timing struct {
	Step Step          `json:"step"`
	Took time.Duration `json:"took"`
}

// A MemberResult is a directory that was made.
type MemberResult struct {
	Name  string   `json:"name"`
	ID    uint64   `json:"id"`
	Dir   string   `json:"dir"`
	Flags []string `json:"flags"` // for etcd; certificates are not among them
}

// A Result is what Run has made.
type Result struct {
	Source      Source
	Token       string
	ClusterID   uint64
	Members     []MemberResult
	Others      map[string][]string // member → arguments of `lifeboat restore` for its own node; see Plan.Arguments
	Hash        snapshot.Hash       // of every member's file, computed from the first one as it was written, before the bump
	Revision    int64               // the newest, bump included
	Info        *snapshot.Info      // what inspection found in the plain file
	Sink        string              // where the copy came from; "" for a local file
	Skipped     []*Copy             // copies that could not be used
	OpenedWith  string              // fingerprint of the key that opened it; "" for none, or one that cannot tell
	Bytes       int64               // of each member's database
	Quota       int64
	Asides      []Aside // directories that were moved
	Differences []string
	NotHeld     []string
	Timings     []Timing
}

// Run carries out a plan, which it checks first. When it returns an error, nothing is left of it. Errors are those of Check,
// *NoCopyError for a backup no sink has a whole copy of, and what matches crypto.ErrNoIdentity, crypto.ErrDamaged,
// snapshot.ErrDamaged; or the context's cause.
func Run(ctx context.Context, p Plan, d Deps) (res *Result, err error) {
	d = d.settled()
	if err := p.Check(ctx, d.Now(), d.Identities); err != nil {
		return nil, err
	}
	r := &runner{Deps: d, plan: &p, result: &Result{Source: p.Source, Token: p.Token, ClusterID: p.ClusterID, Quota: p.Quota}}
	defer func() {
		if clean := r.close(); clean != nil {
			res, err = nil, errors.Join(err, clean)
		}
	}()
	err = r.all(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx) // whatever failed, failed because of that
	case err != nil:
		return nil, err
	}
	return r.result, nil
}

// runner is a restore under way.
type runner struct {
	Deps
	plan      *Plan
	cluster   *cluster
	stage     *stage
	editor    *editor
	files     []*os.File // the database of each target; the first is edited, the others are its clones
	layout    layout     // of the first, once it is edited
	stop      func()     // ends the editing process and the copying; nil before they were started
	clones    *clones    // the files but the first; nil if nothing is to be copied
	unlocking *Unlocking
	key       *crypto.FileKey // nil if it is not encrypted, or not found before the fetch
	shared    bool            // clones can share the blocks of the first
	done      bool            // the directories are in their place
	result    *Result

	keepTrailer bool   // the snapshot itself is wanted, with etcd's digest at its end …
	trailer     []byte // … which is this

	step  Step
	since time.Time
	mu    sync.Mutex // guards all these
	moved int64
	total int64
}

// all does one step after the other.
func (r *runner) all(ctx context.Context) error {
	if err := r.unlock(ctx); err != nil {
		return err
	}
	if err := r.begin(); err != nil {
		return err
	}
	for _, s := range []struct {
		step Step
		do   func(ctx context.Context) error
	}{
		{"", r.bring}, {StepInspect, r.inspect}, {StepEdit, r.edit}, {StepSync, r.settle}, {StepFinish, r.finish},
	} {
		if s.step != "" {
			r.enter(s.step, 0)
		}
		if err := s.do(ctx); err != nil {
			return err
		}
		if r.done {
			break // a context that ends now comes too late
		}
		if err := r.point(ctx, string(r.step)); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.leave()
	r.mu.Unlock()
	r.report()
	return nil
}

// begin removes what killed restores have left in this place, and makes the stage.
func (r *runner) begin() (err error) {
	if r.cluster, err = newCluster(r.plan.Token, r.plan.Members); err != nil {
		return err
	}
	for _, dir := range r.plan.Leftovers {
		r.Log.Warn("removing what a killed restore has left", "dir", dir)
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	parent, name, _ := r.plan.place()
	if r.stage, err = newStage(parent, name, r.named); err != nil {
		return err
	}
	for range r.plan.Dirs {
		f, err := r.stage.create()
		if err != nil {
			return err
		}
		r.files = append(r.files, f)
	}
	r.shared = len(r.files) > 1 && r.stage.canShare()
	return nil
}

// close ends everything; unless all was done, it removes everything too.
func (r *runner) close() error {
	var errs []error
	if r.stop != nil {
		r.stop()
	}
	if r.editor != nil {
		r.editor.stop()
	}
	if r.clones != nil {
		_ = r.clones.wait() // told by edit, or of no interest any more
	}
	for _, f := range r.files {
		_ = f.Close() // synced before, or about to be removed
	}
	switch {
	case r.stage == nil:
	case r.done:
		r.stage.done()
	default:
		errs = append(errs, r.stage.discard())
	}
	return errors.Join(errs...)
}

// point is passed between any two acts: it ends a restore whose context is over.
func (r *runner) point(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return r.at(name)
}

// enter begins a step, or begins the present one again with a total that is known by now.
func (r *runner) enter(s Step, total int64) {
	r.mu.Lock() // the copies for the other members may be reporting
	defer r.mu.Unlock()
	begins := s != r.step
	r.moved, r.total = 0, total
	if begins {
		r.leave()
		r.step, r.since = s, time.Now()
		r.Log.Info("restoring", "step", string(s))
	}
}

// leave ends the present step; mu is held.
func (r *runner) leave() {
	if r.step != "" {
		r.result.Timings = append(r.result.Timings, Timing{r.step, time.Since(r.since)})
	}
	r.step = ""
}

// advance reports n bytes more of the present step.
func (r *runner) advance(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved += n
	if r.Progress != nil {
		r.Progress(r.step, r.moved, r.total)
	}
}

// report completes the result.
func (r *runner) report() {
	p := r.plan
	for _, t := range p.Dirs {
		r.result.Members = append(r.result.Members, MemberResult{
			Name: t.Member, ID: uint64(r.cluster.member(t.Member).ID), Dir: t.Dir, Flags: p.etcdFlags(t),
		})
	}
	r.result.Others, r.result.Asides = p.others(), p.Asides
	r.result.Differences, r.result.NotHeld = p.differences(), p.notHeld()
}
