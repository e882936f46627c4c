// Package crosscheck compares the members of a live cluster with each other: a snapshot of each is saved, and all are hashed offline at
// one revision and compaction.
//
// It never asks a member for its HashKV, which stops that member's writes while it scans, and it repairs nothing: a member that differs is
// named, and what to do about it is a person's decision.
package crosscheck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Options say which cluster to look at, and what is known of it.
type Options struct {
	Etcd     snapshot.Config
	SpoolDir string // a folder with room for the databases of two members; of more once one differs
	// Reserve waits for room for so many bytes in it, where others need some, too; it may be nil. It is asked once, for all.
	Reserve func(ctx context.Context, bytes int64) (release func(), err error)
	Stall   time.Duration  // less than 64 KiB in this long is a stall; 0 means 30 s
	Newest  *catalog.Entry // the newest backup: it decides between two members that differ, where it can; nil if there is none
	// Before is the last comparison: a member that was found different there, and cannot be compared now, is so still.
	Before   *catalog.Report
	Log      *slog.Logger
	Progress func(done, total int64) // bytes of the snapshot that is being saved; may be nil
}

// Result is the outcome of a comparison of two members at least.
type Result struct {
	OK      bool // nothing was found different, now or before
	Members []catalog.MemberResult
	Left    []string // members that were not compared, and why
	Detail  string   // one line for people
}

// A DifferentError says that members of the cluster do not hold the same data. It matches snapshot.ErrDamaged.
type DifferentError struct{ Detail string }

func (e *DifferentError) Error() string { return "the members do not hold the same data: " + e.Detail }
func (e *DifferentError) Unwrap() error { return snapshot.ErrDamaged }

// Hint tells what is safe, and what to do next.
func (e *DifferentError) Hint() string {
	return "the backups in the sinks were not touched, and `lifeboat backup` takes none from a member that is named, once the report of this is in the sinks; " +
		"`lifeboat verify --deep` or `lifeboat rehearse` the newest; then replace the member: remove it from the cluster, and add it again with an empty data directory"
}

// Err is a *DifferentError unless all is well.
func (r *Result) Err() error {
	if r.OK {
		return nil
	}
	return &DifferentError{r.Detail}
}

// Report is the comparison as it is kept beside a backup.
func (r *Result) Report() catalog.Report {
	return catalog.Report{Report: catalog.ReportCrossCheck, OK: r.OK, Members: r.Members, Detail: r.Detail}
}

// Run compares every member that can give a snapshot, one after the other. The error matches snapshot.ErrUnavailable if that are fewer
// than two, snapshot.ErrSpool if our own disk fails. That members differ is in the Result, no error.
func Run(ctx context.Context, o Options) (*Result, error) {
	cluster, err := snapshot.Connect(ctx, o.Etcd)
	if err != nil {
		return nil, err
	}
	defer cluster.Close()
	found, err := cluster.Survey(ctx)
	if err != nil {
		return nil, err
	}
	r := &run{Options: o, cluster: cluster}
	defer r.close()
	for _, x := range found.Excluded {
		r.leave(x.Endpoint, errors.New(x.Reason))
	}
	if len(found.Candidates) >= 2 {
		release, err := r.reserve(ctx, found.Candidates)
		if err != nil {
			return nil, err
		}
		defer release()
		for _, c := range found.Candidates {
			if err := r.compare(ctx, c); err != nil {
				return nil, err
			}
		}
	}
	if n := r.compared(); n < 2 && len(r.broken) == 0 {
		if len(found.Candidates) < 2 {
			n = len(found.Candidates) // nobody was asked
		}
		return nil, &tooFewError{n, r.left}
	}
	return r.judge(ctx, found)
}

// tooFewError: there is nothing to compare with.
type tooFewError struct {
	able int // members that can give a snapshot
	left []string
}

func (e *tooFewError) Error() string {
	text := fmt.Sprintf("a comparison takes two members, and %d can give a snapshot", e.able)
	if len(e.left) > 0 {
		text += "; not compared: " + strings.Join(e.left, "; ")
	}
	return text
}
func (e *tooFewError) Unwrap() error { return snapshot.ErrUnavailable }
func (e *tooFewError) Hint() string {
	return "name every member with --endpoints, and see that two at least are up and not far behind"
}

// run is one comparison under way.
type run struct {
	Options
	cluster *snapshot.Cluster
	groups  []*group          // members with equal data; one if all is well
	broken  map[uint64]string // members whose snapshot is damaged, and how
	names   map[uint64]string
	left    []string
}

// A group is members that hold the same; the snapshot of the first is kept for the next to be compared with.
type group struct {
	members []snapshot.Endpoint
	first   *taken
}

// taken is a member's snapshot.
type taken struct {
	from  snapshot.Endpoint
	spool *snapshot.Spool
	info  *snapshot.Info
}

func (r *run) close() {
	for _, g := range r.groups {
		g.first.spool.Close()
	}
}

// reserve waits for room for two of the largest databases: who got room for one, and waited with it for a second, could wait for somebody who does the same.
func (r *run) reserve(ctx context.Context, members []snapshot.Endpoint) (release func(), err error) {
	if r.Reserve == nil {
		return func() {}, nil
	}
	var size int64
	for _, m := range members {
		size = max(size, m.DBSize)
	}
	return r.Reserve(ctx, 2*size)
}

func (r *run) compared() (n int) {
	for _, g := range r.groups {
		n += len(g.members)
	}
	return n
}

func (r *run) leave(who string, why error) {
	r.Log.Warn("member is not compared", "endpoint", who, "err", why)
	r.left = append(r.left, who+": "+why.Error())
}

// compare saves a member's snapshot and puts the member with those that hold the same. A member that cannot give one is left out.
func (r *run) compare(ctx context.Context, m snapshot.Endpoint) error {
	t, err := r.take(ctx, m)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, snapshot.ErrUnavailable):
		r.leave(m.URL, err)
		return nil
	case errors.Is(err, snapshot.ErrDamaged):
		r.Log.Error("member gave a damaged snapshot", "endpoint", m.URL, "err", err)
		if r.broken == nil {
			r.broken, r.names = map[uint64]string{}, map[uint64]string{}
		}
		r.broken[m.MemberID], r.names[m.MemberID] = err.Error(), m.Name
		return nil
	case err != nil:
		return err
	}
	for _, g := range r.groups {
		same, err := r.same(ctx, g.first, t)
		switch {
		case ctx.Err() != nil || errors.Is(err, snapshot.ErrSpool):
			t.spool.Close()
			return errors.Join(err, context.Cause(ctx))
		case err != nil:
			t.spool.Close()
			r.leave(m.URL, err)
			return nil
		case same:
			g.members = append(g.members, m)
			t.spool.Close()
			return nil
		}
	}
	r.groups = append(r.groups, &group{[]snapshot.Endpoint{m}, t})
	return nil
}

// take saves a member's snapshot into a spool of its own.
func (r *run) take(ctx context.Context, m snapshot.Endpoint) (*taken, error) {
	if err := snapshot.Room(r.SpoolDir, m.DBSize); err != nil {
		return nil, err
	}
	spool, err := snapshot.NewSpool(r.SpoolDir)
	if err != nil {
		return nil, err
	}
	t := &taken{from: m, spool: spool}
	if err := r.save(ctx, t); err != nil {
		spool.Close()
		return nil, err
	}
	return t, nil
}

// writeBackStep is in how large steps a spool is written to a disk that it shares with an etcd member, in bytes.
const writeBackStep = 8 << 20

func (r *run) save(ctx context.Context, t *taken) error {
	if _, yes := snapshot.SpoolOnEtcdDisk(r.SpoolDir); yes {
		t.spool.WriteBack(writeBackStep)
	}
	r.Log.Info("saving", "endpoint", t.from.URL, "member", t.from.Name)
	_, err := r.cluster.Save(ctx, t.from, t.spool, snapshot.SaveOptions{Stall: r.Stall, Progress: r.Progress})
	t.spool.Finish(err)
	if err != nil {
		return err
	}
	t.info, err = snapshot.Inspect(ctx, t.spool.File(), snapshot.InspectOptions{SkipDigest: true})
	return err
}

// tries bounds how often a member is saved again because the other had compacted what it held.
const tries = 3

// same hashes two snapshots at the newest revision that both hold, as if both were compacted as far as the one that is further. Where one
// was compacted beyond all the other holds, the other is saved again.
func (r *run) same(ctx context.Context, a, b *taken) (bool, error) {
	for range tries {
		at := snapshot.HashPoint{
			Revision:        min(a.info.Revision, b.info.Revision),
			CompactRevision: max(a.info.CompactRevision, b.info.CompactRevision),
		}
		if at.CompactRevision <= at.Revision {
			x, err := hashAt(ctx, a, at)
			if err != nil {
				return false, err
			}
			y, err := hashAt(ctx, b, at)
			if err != nil {
				return false, err
			}
			r.Log.Info("compared", "member", a.from.Name, "with", b.from.Name, "revision", at.Revision, "compacted", at.CompactRevision, "equal", x == y)
			return x == y, nil
		}
		behind := a
		if b.info.Revision < a.info.Revision {
			behind = b
		}
		// Into a spool of its own: where that fails, what was saved before is still whole for the next to be compared with.
		again, err := r.take(ctx, behind.from)
		if err != nil {
			return false, fmt.Errorf("save %s again: %w", behind.from.Name, err)
		}
		behind.spool.Close()
		*behind = *again
	}
	return false, fmt.Errorf("the cluster compacts faster than %s and %s can be saved: %w", a.from.Name, b.from.Name, snapshot.ErrUnavailable)
}

func hashAt(ctx context.Context, t *taken, at snapshot.HashPoint) (uint32, error) {
	info, err := snapshot.Inspect(ctx, t.spool.File(), snapshot.InspectOptions{SkipDigest: true, HashAt: &at})
	if err != nil {
		return 0, err
	}
	return info.Hash.Hash, nil
}
