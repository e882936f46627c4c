package demo

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// pageSize is how many keys are asked for at once.
const pageSize = 2000

// A record is everything etcd keeps of a key, its value as a digest so that a cluster's worth of them fits in memory.
type record struct {
	key                          string
	value                        [sha256.Size]byte
	create, mod, version, leased int64
}

// records reads what one member holds at a revision, in the order of the keys, without asking the other members.
func records(ctx context.Context, c *clientv3.Client, rev int64) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		from := "\x00"
		for {
			page, err := c.Get(ctx, from, clientv3.WithFromKey(), clientv3.WithRev(rev), clientv3.WithLimit(pageSize), clientv3.WithSerializable())
			if err != nil {
				yield(record{}, err)
				return
			}
			for _, kv := range page.Kvs {
				if !yield(recordOf(kv), nil) {
					return
				}
			}
			if !page.More {
				return
			}
			from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		}
	}
}

func recordOf(kv *mvccpb.KeyValue) record {
	return record{string(kv.Key), sha256.Sum256(kv.Value), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease}
}

// readAll collects records.
func readAll(ctx context.Context, c *clientv3.Client, rev int64) ([]record, error) {
	var all []record
	for r, err := range records(ctx, c, rev) {
		if err != nil {
			return nil, fmt.Errorf("read every key at revision %d: %w", rev, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// compareKeys compares what a member holds at a revision with what the source held, key by key: the same keys with the
// same values, revisions, versions and leases, and none more. It answers how many were equal and the first difference, if
// any, in words.
func compareKeys(ctx context.Context, want []record, c *clientv3.Client, rev int64) (equal int, difference string, err error) {
	next := 0
	note := func(format string, args ...any) {
		if difference == "" {
			difference = fmt.Sprintf(format, args...)
		}
	}
	for got, err := range records(ctx, c, rev) {
		if err != nil {
			return equal, difference, err
		}
		for next < len(want) && want[next].key < got.key {
			note("key %q is missing", want[next].key)
			next++
		}
		if next == len(want) || want[next].key != got.key {
			note("key %q was not there before", got.key)
			continue
		}
		if got == want[next] {
			equal++
		} else {
			note("key %q %s", got.key, want[next].against(got))
		}
		next++
	}
	if next < len(want) {
		note("key %q is missing", want[next].key)
	}
	return equal, difference, nil
}

// against says in which respect a restored record differs.
func (r record) against(got record) string {
	switch {
	case r.value != got.value:
		return "has another value"
	case r.mod != got.mod || r.create != got.create || r.version != got.version:
		return fmt.Sprintf("has create/mod revision %d/%d and version %d, not %d/%d and %d",
			got.create, got.mod, got.version, r.create, r.mod, r.version)
	}
	return fmt.Sprintf("has lease %x, not %x", got.leased, r.leased)
}
