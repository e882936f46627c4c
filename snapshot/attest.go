package snapshot

import (
	"context"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

const (
	// A live scan reads about this many bytes a second (2.6 s for 1.5 GiB), and a member does not answer before its end.
	scanRate    = 512 << 20
	hashTimeout = time.Minute
)

// HashKV asks one member for its hash at rev (0 is its newest).
//
// This stops the writes through that member while it scans its keys: see Stall. Only the hash at the revision of the last
// compaction is answered at once, from memory, since 3.5.5 and if the member has not been restarted since; its
// CompactRevision is then that of the compaction before. Etcd 3.4 refuses that revision.
func (c *Cluster) HashKV(ctx context.Context, ep Endpoint, rev int64) (Hash, error) {
	l, err := c.find(ctx, ep)
	if err != nil {
		return Hash{}, err
	}
	limit := hashTimeout + 4*Stall(ep)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer to a HashKV request within %s", limit.Round(time.Second)))
	defer cancel()
	got, err := l.maintenance.HashKV(ctx, &pb.HashKVRequest{Revision: rev})
	if err != nil {
		return Hash{}, l.explain(withCause(ctx, err))
	}
	at := rev
	if at == 0 {
		at = got.GetHashRevision() // from 3.6 on
	}
	return Hash{got.GetHash(), at, got.GetCompactRevision()}, nil
}

// Stall estimates for how long a HashKV at an arbitrary revision stops a member's writes.
func Stall(ep Endpoint) time.Duration {
	return time.Duration(float64(ep.DBSizeInUse) / scanRate * float64(time.Second))
}

// A MemberHash is one member's answer.
type MemberHash struct {
	Endpoint string `json:"endpoint"`
	Member   string `json:"member"`
	MemberID uint64 `json:"member_id"`
	Hash     Hash   `json:"hash"`
	Err      error  `json:"-"`
}

// Attest asks members for their hash at rev, one after the other and the leader last: see HashKV for what that does to each.
// A member that does not answer has Err set and does not keep the others from being asked.
func (c *Cluster) Attest(ctx context.Context, eps []Endpoint, rev int64) ([]MemberHash, error) {
	order := slices.Clone(eps)
	slices.SortStableFunc(order, func(a, b Endpoint) int {
		switch {
		case a.Leader == b.Leader:
			return 0
		case a.Leader:
			return 1
		}
		return -1
	})
	var all []MemberHash
	for _, ep := range order {
		h, err := c.HashKV(ctx, ep, rev)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		all = append(all, MemberHash{ep.URL, ep.Name, ep.MemberID, h, err})
	}
	return all, nil
}

// Differing tells which answers speak against want. Those that failed, or were computed at another compact revision, which
// happens when the cluster compacts meanwhile, speak neither for nor against it; agreed counts those that speak for it.
func Differing(all []MemberHash, want Hash) (agreed int, differ []MemberHash) {
	for _, m := range all {
		switch {
		case m.Err != nil || m.Hash.Revision != want.Revision || m.Hash.CompactRevision != want.CompactRevision:
		case m.Hash.Hash == want.Hash:
			agreed++
		default:
			differ = append(differ, m)
		}
	}
	return agreed, differ
}
