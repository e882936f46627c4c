package snapshot

import (
	"fmt"
	"testing"
)

// TestASetOfKeysKnowsWhatItWasGiven adds keys past several growths of every table, twice, among them none at all.
func TestASetOfKeysKnowsWhatItWasGiven(t *testing.T) {
	t.Parallel()
	const n = 4 * keyShards * shardSlots
	s := newKeySet()
	key := func(i int) []byte {
		if i == 0 {
			return nil
		}
		return fmt.Appendf(nil, "/registry/pods/%d", i)
	}
	for i := range n {
		if s.has(key(i)) || !s.add(key(i)) {
			t.Fatalf("key %d is there before it is added", i)
		}
	}
	for i := range n {
		if !s.has(key(i)) || s.add(key(i)) {
			t.Fatalf("key %d is lost", i)
		}
		if s.has(key(n + i)) {
			t.Fatalf("key %d was never added", n+i)
		}
	}
	for _, shard := range s.shards {
		if len(shard.slots) <= shardSlots || shard.used*4 > len(shard.slots)*3 {
			t.Errorf("%d of %d slots are used", shard.used, len(shard.slots))
		}
	}
}
