package rehearsal

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/internal/throwaway"
)

const (
	// canaryPrefix is where the rehearsal writes in its throwaway cluster: away from what Kubernetes reads.
	canaryPrefix = "lifeboat-rehearsal/"
	// opTimeout bounds one small request.
	opTimeout = 30 * time.Second
	// putTimeout bounds one of several attempts to write.
	putTimeout = 2 * time.Second
	// What snapshot.Inspect makes of names that are too long or too many.
	longestGroup  = 128
	overflowGroup = "(others)"
	// maxNamed is how many differing prefixes a failed check names.
	maxNamed = 5
)

// counts is how many keys a revision holds: in total, and for each prefix that can be asked for.
type counts struct {
	total    int64
	prefixes map[string]int64 // with the slash at the end
}

// countsOf turns what was counted in the file, by snapshot.Prefix, into what a range request can count. A group of one
// folder shares its range with the groups below it. Left to the total are keys in no folder, and groups whose name the
// file's inspection could not give in full.
func countsOf(total int64, groups map[string]int64) counts {
	c := counts{total: total, prefixes: map[string]int64{}}
	_, overflowed := groups[overflowGroup]
	for group, n := range groups {
		deep := len(group) > 1 && strings.Contains(group[1:], "/")
		if group == "" || len(group) >= longestGroup || strings.Contains(group, "?") || group == overflowGroup || overflowed && !deep {
			continue
		}
		below := group + "/"
		if !deep {
			for other, m := range groups {
				if strings.HasPrefix(other, below) {
					n += m
				}
			}
		}
		c.prefixes[below] = n
	}
	return c
}

// keysAt asks every node, each for itself and without the leader's help, how many keys revision rev holds.
func keysAt(ctx context.Context, c *throwaway.Cluster, rev int64, want counts) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range c.Nodes {
		g.Go(func() error { return keysOf(ctx, n, rev, want) })
	}
	return g.Wait()
}

func keysOf(ctx context.Context, n *throwaway.Node, rev int64, want counts) error {
	var differ []string
	all, err := count(ctx, n, "\x00", clientv3.WithFromKey(), clientv3.WithRev(rev))
	if err != nil {
		return failed("member %s: count keys: %v", n.Name, err)
	}
	if all != want.total {
		differ = append(differ, fmt.Sprintf("%d keys in all, not %d", all, want.total))
	}
	for _, p := range slices.Sorted(maps.Keys(want.prefixes)) {
		got, err := count(ctx, n, p, clientv3.WithPrefix(), clientv3.WithRev(rev))
		if err != nil {
			return failed("member %s: count %s: %v", n.Name, p, err)
		}
		if got != want.prefixes[p] {
			differ = append(differ, fmt.Sprintf("%s: %d, not %d", p, got, want.prefixes[p]))
		}
	}
	if len(differ) > 0 {
		return failed("member %s: %s", n.Name, strings.Join(abbreviate(differ), "; "))
	}
	return nil
}

func count(ctx context.Context, n *throwaway.Node, key string, opts ...clientv3.OpOption) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	resp, err := n.Client.Get(ctx, key, append(opts, clientv3.WithCountOnly(), clientv3.WithSerializable())...)
	if err != nil {
		return 0, err
	}
	return resp.Count, nil
}

func abbreviate(all []string) []string {
	if len(all) <= maxNamed {
		return all
	}
	return append(all[:maxNamed:maxNamed], fmt.Sprintf("and %d more", len(all)-maxNamed))
}

// alarms fails if any member raises one: a NOSPACE that survived the restore would refuse every write.
func alarms(ctx context.Context, c *throwaway.Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	resp, err := c.Nodes[0].Client.AlarmList(ctx)
	if err != nil {
		return failed("list alarms: %v", err)
	}
	var raised []string
	for _, a := range resp.Alarms {
		raised = append(raised, fmt.Sprintf("%s on member %x", a.Alarm, a.MemberID))
	}
	if len(raised) > 0 {
		return failed("%s", strings.Join(raised, ", "))
	}
	return nil
}

// canary writes a key through the first node, reads it from every node, deletes it through the last one and sees it gone
// from every node. It answers the revision of the write.
func canary(ctx context.Context, c *throwaway.Cluster) (int64, error) {
	key, value := canaryPrefix+rand.Text(), []byte(rand.Text())
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	put, err := c.Nodes[0].Client.Put(ctx, key, string(value))
	if err != nil {
		return 0, failed("write through member %s: %v", c.Nodes[0].Name, err)
	}
	for _, n := range c.Nodes {
		got, err := n.Client.Get(ctx, key)
		if err != nil {
			return 0, failed("read from member %s: %v", n.Name, err)
		}
		if len(got.Kvs) != 1 || !bytes.Equal(got.Kvs[0].Value, value) {
			return 0, failed("member %s does not have what was just written", n.Name)
		}
	}
	last := c.Nodes[len(c.Nodes)-1]
	if _, err := last.Client.Delete(ctx, key); err != nil {
		return 0, failed("delete through member %s: %v", last.Name, err)
	}
	for _, n := range c.Nodes {
		got, err := n.Client.Get(ctx, key)
		if err != nil {
			return 0, failed("read from member %s: %v", n.Name, err)
		}
		if len(got.Kvs) != 0 {
			return 0, failed("member %s still has what was just deleted", n.Name)
		}
	}
	return put.Header.Revision, nil
}

// compact compacts all history and defragments every node, which rewrites its whole database file. timeout is for each.
func compact(ctx context.Context, c *throwaway.Cluster, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout*time.Duration(1+len(c.Nodes)))
	defer cancel()
	head, err := c.Nodes[0].Client.Get(ctx, canaryPrefix)
	if err != nil {
		return failed("ask for the revision: %v", err)
	}
	if _, err := c.Nodes[0].Client.Compact(ctx, head.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		return failed("compact at revision %d: %v", head.Header.Revision, err)
	}
	for _, n := range c.Nodes {
		if _, err := n.Client.Defragment(ctx, n.ClientURL); err != nil {
			return failed("defragment member %s: %v", n.Name, err)
		}
	}
	return nil
}

// errWatchSilent is a watch that was accepted and said nothing.
var errWatchSilent = errors.New("nothing was heard")

// oldWatch watches from the revision after rev as a controller would that last saw rev, and fails unless every node
// tells it that this history is compacted: it then lists everything again instead of believing its cache.
func oldWatch(ctx context.Context, c *throwaway.Cluster, rev int64) error {
	for _, n := range c.Nodes {
		err := watchFrom(ctx, n, rev+1)
		if err != nil {
			return failed("a watch from revision %d on member %s was not told to start over: %v", rev+1, n.Name, err)
		}
	}
	return nil
}

// watchFrom returns nil if the watch is refused as compacted.
func watchFrom(ctx context.Context, n *throwaway.Node, rev int64) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	resp, ok := <-n.Client.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(rev))
	switch {
	case !ok:
		return errWatchSilent
	case resp.CompactRevision != 0:
		return nil
	case resp.Err() != nil:
		return resp.Err()
	}
	return fmt.Errorf("it was served %s", countOf(len(resp.Events), "event"))
}
