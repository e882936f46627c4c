// Package kubedata fills an etcd with objects that look like those of a Kubernetes cluster: its key layout, its mix of kinds and
// sizes, values that compress about as well as real ones, encrypted secrets, events on leases. It is for the demo, the tests
// and the benchmark. The objects are made up: no API server could do anything with them but list their keys.
package kubedata

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Limits of one transaction: etcd takes 128 operations and 1.5 MiB by default.
const (
	maxOps   = 128
	maxBytes = 1 << 20
)

// leaseTTL keeps every event alive for the length of any test, in seconds.
const leaseTTL = 7 * 24 * 3600

// Options say what to write. The same options write the same keys and values, and on an empty etcd the same revisions.
type Options struct {
	Keys    int   // objects written first
	Bytes   int64 // approximate size of their values in all; 0 leaves each kind its natural size
	Seed    uint64
	Leases  int  // leases that the events are spread over; 0 writes them without
	Churn   int  // updates and deletions after the first write, about three to one
	Compact bool // compact in the middle of the churn, so that history stays on one side of it
}

// Stats tell what has been written.
type Stats struct {
	Keys            int   // live keys of it now
	Puts, Deletes   int   // operations
	Bytes           int64 // of all values put
	Leases          int
	Revision        int64 // of the last write
	CompactRevision int64 // 0: not compacted
}

// Fill writes objects, one transaction after the other: that is fast enough, as they are large, and keeps the revisions the
// same from run to run.
func Fill(ctx context.Context, c *clientv3.Client, o Options) (Stats, error) {
	if o.Keys <= 0 {
		return Stats{}, errors.New("fill etcd: no keys asked for")
	}
	f := &filler{Options: o, client: c, live: make([]bool, o.Keys), version: make([]int, o.Keys)}
	if err := f.fill(ctx); err != nil {
		return f.stats, fmt.Errorf("fill etcd: %w", err)
	}
	for _, live := range f.live {
		if live {
			f.stats.Keys++
		}
	}
	return f.stats, nil
}

type filler struct {
	Options
	client  *clientv3.Client
	live    []bool
	version []int
	stats   Stats

	ops   []clientv3.Op
	size  int
	batch map[int]bool // objects that ops touch: a transaction must not touch a key twice
}

func (f *filler) fill(ctx context.Context) error {
	if err := f.grant(ctx); err != nil {
		return err
	}
	for i := range f.Keys {
		if err := f.put(ctx, i); err != nil {
			return err
		}
	}
	if err := f.commit(ctx); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(f.Seed, 0))
	if err := f.churn(ctx, rng, f.Churn/2); err != nil {
		return err
	}
	if f.Compact {
		if _, err := f.client.Compact(ctx, f.stats.Revision, clientv3.WithCompactPhysical()); err != nil {
			return fmt.Errorf("compact at %d: %w", f.stats.Revision, err)
		}
		f.stats.CompactRevision = f.stats.Revision
	}
	return f.churn(ctx, rng, f.Churn-f.Churn/2)
}

// leaseID is never 0, which for etcd means that it may choose.
func (f *filler) leaseID(n int) clientv3.LeaseID {
	return clientv3.LeaseID(int64(f.Seed%(1<<30))<<32 | int64(n+1))
}

// grant makes the leases under ids of our own. clientv3 has no call for that.
func (f *filler) grant(ctx context.Context) error {
	leases := pb.NewLeaseClient(f.client.ActiveConnection())
	for n := range f.Leases {
		_, err := leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: int64(f.leaseID(n)), TTL: leaseTTL})
		if err != nil && !errors.Is(rpctypes.Error(err), rpctypes.ErrLeaseExist) {
			return fmt.Errorf("grant lease %x: %w", f.leaseID(n), err)
		}
		f.stats.Leases++
	}
	return nil
}

func (f *filler) churn(ctx context.Context, rng *rand.Rand, n int) error {
	for range n {
		i := rng.IntN(f.Keys)
		var err error
		if f.live[i] && rng.IntN(4) == 0 {
			err = f.delete(ctx, i)
		} else {
			err = f.put(ctx, i)
		}
		if err != nil {
			return err
		}
	}
	return f.commit(ctx)
}

func (f *filler) put(ctx context.Context, i int) error {
	o := f.object(i)
	value := o.value(f.version[i], int(f.Bytes/int64(f.Keys)))
	var opts []clientv3.OpOption
	if o.kind.expires && f.Leases > 0 {
		opts = append(opts, clientv3.WithLease(f.leaseID(i%f.Leases)))
	}
	if err := f.add(ctx, i, clientv3.OpPut(o.key(), string(value), opts...), len(value)); err != nil {
		return err
	}
	f.version[i]++
	f.live[i] = true
	f.stats.Puts++
	f.stats.Bytes += int64(len(value))
	return nil
}

func (f *filler) delete(ctx context.Context, i int) error {
	f.live[i] = false
	f.stats.Deletes++
	return f.add(ctx, i, clientv3.OpDelete(f.object(i).key()), 0)
}

func (f *filler) add(ctx context.Context, i int, op clientv3.Op, size int) error {
	if len(f.ops) == maxOps || f.size+size > maxBytes || f.batch[i] {
		if err := f.commit(ctx); err != nil {
			return err
		}
	}
	if f.batch == nil {
		f.batch = map[int]bool{}
	}
	f.ops, f.size, f.batch[i] = append(f.ops, op), f.size+size, true
	return nil
}

func (f *filler) commit(ctx context.Context) error {
	if len(f.ops) == 0 {
		return nil
	}
	r, err := f.client.Txn(ctx).Then(f.ops...).Commit()
	if err != nil {
		return fmt.Errorf("write %d keys: %w", len(f.ops), err)
	}
	f.stats.Revision = r.Header.Revision
	f.ops, f.size, f.batch = nil, 0, nil
	return nil
}
