package rehearsal

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/throwaway"
)

const (
	minQuota = 8 << 30
	// baseTimeout, and as much again for every GiB, is what members get to serve: 1.5 GiB took three of them 15 s on two cores.
	baseTimeout = time.Minute
)

// perGiB is the part of the time to serve that grows with the database.
func perGiB(bytes int64) time.Duration {
	return time.Duration(float64(bytes) / (1 << 30) * float64(baseTimeout))
}

// boot runs the members on what was made and waits until all serve. It answers how long the first took, and then the rest.
func (r *run) boot(ctx context.Context, m *made) (first, rest time.Duration, err error) {
	began := time.Now()
	if r.cluster, err = throwaway.New(m.dir, m.result.Token, r.held, m.nodes); err != nil {
		return 0, 0, err
	}
	if err := r.cluster.Start(ctx, r.servers[0].how()); err != nil {
		return 0, 0, err
	}
	served, err := r.cluster.Serving(ctx, r.timeout)
	if err != nil {
		return 0, 0, r.notServing(ctx, r.servers[0], err)
	}
	return served.Sub(began), time.Since(served), nil
}

// notServing records that members do not serve, which ends the rehearsal.
func (r *run) notServing(ctx context.Context, on server, err error) error {
	if ctx.Err() == nil && isFailure(err) {
		r.report.check(CheckQuorum, on.version, Failed, "%s", err)
	}
	return err
}

// hashes compares every member's HashKV with the backup's.
func (r *run) hashes(ctx context.Context) (string, error) {
	var targets []Target
	for _, n := range r.cluster.Nodes {
		targets = append(targets, Target{Role: RoleRestored, Name: n.Name, Client: n.Client})
	}
	rows, equal := Compare(ctx, r.want, targets)
	r.report.Comparison = append(r.report.Comparison, rows...)
	if equal {
		return fmt.Sprintf("%d at revision %d on every member", r.want.Hash, r.want.Revision), nil
	}
	return "", failed("%s", differences(r.want.Hash, r.want.CompactRevision, rows))
}

// differences names the members that are not as the backup is.
func differences(hash uint32, compacted int64, rows []Row) string {
	var all []string
	for _, row := range rows {
		switch {
		case row.Error != "":
			all = append(all, fmt.Sprintf("member %s gives no HashKV: %s", row.Name, row.Error))
		case row.CompactRevision != compacted:
			all = append(all, fmt.Sprintf("member %s is compacted at %d, the backup at %d", row.Name, row.CompactRevision, compacted))
		case !row.Equal:
			all = append(all, fmt.Sprintf("member %s has HashKV %d, the backup %d", row.Name, row.HashKV, hash))
		}
	}
	return strings.Join(all, "; ")
}

// rejoin kills a member as a power cut would, lets the others go on, and sees it come back with everything.
func (r *run) rejoin(ctx context.Context, on server) (string, error) {
	c := r.cluster
	last := c.Nodes[len(c.Nodes)-1]
	if err := last.Kill(); err != nil {
		return "", err
	}
	key, value := canaryPrefix+rand.Text(), rand.Text()
	var written error
	quorum := len(c.Nodes) > 2
	if quorum {
		written = putUntil(ctx, c.Nodes[0], key, value, r.timeout)
	}
	began := time.Now()
	if err := c.StartOne(ctx, last, on.how()); err != nil {
		return "", err
	}
	if _, err := c.Serving(ctx, r.timeout); err != nil {
		return "", err
	}
	took := time.Since(began)
	if written != nil {
		return "", failed("no write while member %s was down: %v", last.Name, written)
	}
	if quorum {
		got, err := last.Client.Get(ctx, key)
		if err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Value) != value {
			return "", failed("member %s came back without what was written meanwhile (%v)", last.Name, err)
		}
	}
	rows, equal := Compare(ctx, r.want, []Target{{Role: RoleRestored, Name: last.Name, Client: last.Client}})
	if !equal {
		return "", failed("after it came back %s", differences(r.want.Hash, r.want.CompactRevision, rows))
	}
	return fmt.Sprintf("member %s was killed and served again after %.1f s with equal HashKV", last.Name, took.Seconds()), nil
}

// putUntil writes, again and again until it succeeds: what is handed to a leader in the moment of its death is lost, and
// the client learns of that only when the request times out.
func putUntil(ctx context.Context, n *throwaway.Node, key, value string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		err := put(ctx, n, key, value, putTimeout)
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

func put(ctx context.Context, n *throwaway.Node, key, value string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := n.Client.Put(ctx, key, value)
	return err
}

// upgrade restarts the members on the i-th server, one after the other as one upgrades a cluster that must go on serving.
func (r *run) upgrade(ctx context.Context, i int) error {
	if r.unsettled(i) && !r.o.NoSettle {
		if err := r.settle(ctx, r.servers[i-1]); err != nil {
			return err
		}
	}
	began := time.Now()
	to := r.servers[i]
	for _, n := range r.cluster.Nodes {
		if err := r.restart(ctx, n, to.how()); err != nil {
			if r.unsettled(i) {
				r.report.Remedy = "leave out --no-settle: etcd " + to.minor() + " does not take what an etcd before 3.6 has left in the log, " +
					"until 3.6 has taken a raft snapshot; see that your own 3.6 takes one before you upgrade it"
			}
			return r.notServing(ctx, to, err)
		}
	}
	r.report.phase("upgrade", to.version, time.Since(began), false)
	r.report.check(CheckQuorum, r.version(), Passed, "upgraded from %s, one member after the other", r.servers[i-1].version)
	return nil
}

func (r *run) restart(ctx context.Context, n *throwaway.Node, how throwaway.How) error {
	if err := n.Stop(); err != nil {
		return err
	}
	if err := r.cluster.StartOne(ctx, n, how); err != nil {
		return err
	}
	_, err := r.cluster.Serving(ctx, r.timeout)
	return err
}

// unsettled tells whether the step to the i-th server goes from 3.6 to a newer one after the members have run on an older
// one: what 3.5 writes into the log makes 3.7 panic, unless 3.6 has taken a raft snapshot since.
func (r *run) unsettled(i int) bool {
	if r.servers[i-1].minor() != "3.6" || r.servers[i].olderThan(3, 7) {
		return false
	}
	for _, s := range r.servers[:i-1] {
		if s.olderThan(3, 6) {
			return true
		}
	}
	return false
}

// settle makes every member take a raft snapshot: after a few writes, with a snapshot count that is lower.
func (r *run) settle(ctx context.Context, on server) error {
	const count, writes = 5, 20
	how := on.how("--snapshot-count", strconv.Itoa(count))
	for _, n := range r.cluster.Nodes {
		if err := r.restart(ctx, n, how); err != nil {
			return r.notServing(ctx, on, err)
		}
	}
	for range writes {
		if err := put(ctx, r.cluster.Nodes[0], canaryPrefix+"settle", rand.Text(), opTimeout); err != nil {
			return failed("write to make etcd %s take a raft snapshot: %v", on.version, err)
		}
	}
	r.report.check(CheckSettle, r.version(), Passed,
		"warning: etcd 3.6 was made to take a raft snapshot before the next step, as your cluster needs to before you upgrade it to 3.7")
	return nil
}
