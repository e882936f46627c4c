// Package rehearsal proves that a backup can be restored, by restoring it: it makes the data directories of a throwaway
// cluster, boots real etcd members on them, asks those whether they hold what the backup says, and reports.
//
// It refuses to judge by anything else than what the booted members answer over RPC; it never touches the cluster that was
// backed up nor a directory of anybody else; and it opens no restored directory in its own process, because a damaged one
// can kill whatever opens it.
package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/throwaway"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Options say what to rehearse, and how.
type Options struct {
	// Plan says which backup, and carries the overrides of its refusals. The members, the directories and the bump are the
	// rehearsal's own and are set by Run.
	Plan    restore.Plan
	Members int // of the throwaway cluster; 0 means 3
	// Etcd are the etcd binaries to run the members on; none means the built-in etcd. Several are an upgrade: the
	// members are restarted on one after the other.
	Etcd []string
	// NoSettle leaves out the raft snapshot that Run has etcd 3.6 take between 3.5 and 3.7, without which 3.7 panics.
	NoSettle bool
	// APIServer is a kube-apiserver binary to start on the restored members; "" means none. APIServerArgs are further flags
	// for it.
	APIServer     string
	APIServerArgs []string
	Dir           string        // where to make the throwaway directory; "" is the system's temporary directory
	Keep          bool          // leave it there
	Timeout       time.Duration // for the members to serve, each time; 0 means one minute and another for each GiB
	// BeforeBoot, if set, is called with the directories of the first restore before a member runs on them. It is for tests,
	// which damage one there and see the rehearsal notice.
	BeforeBoot func(ctx context.Context, dataDirs []string) error
	Tool       string // our version, for the report
	Now        func() time.Time
	Log        *slog.Logger
}

// Run rehearses one backup. It returns a report when the backup could be tested, whether it passed or not, and an error when
// it could not: the backup cannot be had or opened, the machine lacks room, ctx ended. Bytes that are not what was
// written are a test that failed, not an error.
//
// Nothing of it is left, unless Options.Keep.
func Run(ctx context.Context, o Options, d restore.Deps) (report *Report, err error) {
	r, err := begin(ctx, o, d)
	if err != nil {
		return nil, err
	}
	defer func() {
		clean := r.end()
		if report != nil && clean != nil { // what was found out counts for more than a folder that is left
			r.o.Log.Error("the throwaway cluster could not be removed", "dir", r.dir, "err", clean)
			return
		}
		err = errors.Join(err, clean)
	}()
	switch stopped := r.all(ctx); {
	case stopped == nil:
	case ctx.Err() != nil:
		return nil, context.Cause(ctx) // what failed, failed because of that
	case !isFailure(stopped):
		return nil, stopped
	}
	r.report.settle(r.o.Now())
	return r.report, nil
}

// run is one rehearsal under way.
type run struct {
	o       Options
	deps    restore.Deps
	servers []server
	// apiserver is the version of the kube-apiserver that is asked, if one is.
	apiserver string
	dir       string
	lock      *os.File // of dir, as long as we live
	report    *Report

	held    *throwaway.Addresses
	cluster *throwaway.Cluster // nil while none runs
	want    snapshot.Hash
	keys    counts
	timeout time.Duration
}

func begin(ctx context.Context, o Options, d restore.Deps) (*run, error) {
	if o.Members == 0 {
		o.Members = 3
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	servers, err := serversOf(ctx, o.Etcd)
	if err != nil {
		return nil, err
	}
	kube, err := apiserverOf(ctx, o)
	if err != nil {
		return nil, err
	}
	dir, lock, err := newWorkplace(o.Dir, o.Keep, o.Log)
	if err != nil {
		return nil, err
	}
	report := &Report{
		Format: Format, Started: o.Now().UTC(), Tool: o.Tool, Members: o.Members, Backup: describe(o.Plan.Source),
		EtcdVersions: []string{}, Checks: []Check{}, Phases: []Phase{}, Comparison: []Row{}, // never null in JSON
		asked: time.Now(),
	}
	if o.Keep {
		o.Log.Warn("the database lies there in plain, and stays", "dir", dir)
		report.Kept = dir
	}
	d.StartsHere = true
	return &run{o: o, deps: d, servers: servers, apiserver: kube, dir: dir, lock: lock, report: report}, nil
}

func (r *run) end() error {
	if r.held != nil {
		r.held.Release()
	}
	err := r.stop()
	if !r.o.Keep {
		err = errors.Join(err, os.RemoveAll(r.dir))
	}
	return errors.Join(err, r.lock.Close())
}

func (r *run) stop() error {
	if r.cluster == nil {
		return nil
	}
	c := r.cluster
	r.cluster = nil
	if r.o.Keep {
		return c.Stop()
	}
	return c.Kill()
}

// all is the rehearsal: first without the revision bump, which compacts the history that HashKV is computed over, then
// with it. It stops early, with a failure, where a later question would have no sense.
func (r *run) all(ctx context.Context) error {
	m, err := r.first(ctx)
	if err != nil {
		return err
	}
	if err := r.beforeBoot(ctx, m); err != nil {
		return err
	}
	first, rest, err := r.boot(ctx, m)
	if err != nil {
		return err
	}
	r.report.phase("boot", "", first, true)
	r.report.phase("quorum", "", rest, true)
	r.report.check(CheckQuorum, r.version(), Passed, "%s after %.1f s", countOf(len(m.nodes), "member"), (first + rest).Seconds())
	for i, s := range r.servers {
		if i > 0 {
			if err := r.upgrade(ctx, i); err != nil {
				return err
			}
		}
		r.report.EtcdVersions = append(r.report.EtcdVersions, r.version())
		if err := r.questions(ctx, s, i == len(r.servers)-1); err != nil {
			return err
		}
	}
	if err := r.clear(m); err != nil {
		return err
	}
	return r.withBump(ctx)
}

func (r *run) beforeBoot(ctx context.Context, m *made) error {
	if r.o.BeforeBoot == nil {
		return nil
	}
	var dirs []string
	for _, n := range m.nodes {
		dirs = append(dirs, n.DataDir)
	}
	return r.o.BeforeBoot(ctx, dirs)
}

// clear stops the members and makes room for the next ones.
func (r *run) clear(m *made) error {
	err := r.stop()
	if !r.o.Keep {
		err = errors.Join(err, os.RemoveAll(m.dir))
	}
	return err
}

// questions asks the booted members everything that does not need the bump; the last server also gets the questions after
// which HashKV can no longer be compared.
func (r *run) questions(ctx context.Context, s server, last bool) error {
	began := time.Now()
	defer func() { r.report.phase("checks", r.oneOf(), time.Since(began), false) }()
	c := r.cluster
	all := []question{
		{CheckHash, r.hashes},
		{CheckKeys, func(ctx context.Context) (string, error) {
			return fmt.Sprintf("%d keys in %s on every member", r.keys.total, countOf(len(r.keys.prefixes), "group")), keysAt(ctx, c, r.want.Revision, r.keys)
		}},
		{CheckAlarms, func(ctx context.Context) (string, error) { return "none", alarms(ctx, c) }},
		{CheckCanary, func(ctx context.Context) (string, error) {
			rev, err := canary(ctx, c)
			return fmt.Sprintf("written at revision %d, read from every member, deleted", rev), err
		}},
	}
	if last {
		all = append(all,
			question{CheckRejoin, func(ctx context.Context) (string, error) { return r.rejoin(ctx, s) }},
			question{CheckCompaction, func(ctx context.Context) (string, error) {
				return "history compacted, every member defragmented", compact(ctx, c, r.timeout)
			}})
	}
	for _, a := range all {
		if err := r.ask(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// A question is a check to be made: it answers a detail, and a failure if the answer is wrong.
type question struct {
	name string
	do   func(ctx context.Context) (detail string, err error)
}

// ask asks and records the answer. It returns an error only if the question could not be asked.
func (r *run) ask(ctx context.Context, a question) error {
	detail, err := a.do(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx) // what failed, failed because of that
	}
	if err == nil {
		r.report.check(a.name, r.version(), Passed, "%s", detail)
		return nil
	}
	if !isFailure(err) {
		return err
	}
	// A member that died explains every refused question after it better than the question's own error does.
	for _, n := range r.cluster.Nodes {
		if down := n.Err(); down != nil {
			err = fmt.Errorf("%w (%w)", err, down)
		}
	}
	r.report.check(a.name, r.version(), Failed, "%s", err)
	r.o.Log.Warn("check failed", "check", a.name, "err", err)
	return nil
}

// version is what the servers that run now say they are.
func (r *run) version() string {
	if r.cluster == nil {
		return ""
	}
	return r.cluster.Nodes[0].Version
}

// oneOf is the running servers' version where the rehearsal has several.
func (r *run) oneOf() string {
	if len(r.servers) < 2 {
		return ""
	}
	return r.version()
}
