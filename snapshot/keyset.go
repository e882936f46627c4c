package snapshot

import (
	"hash/maphash"
	"unsafe"
)

const (
	keyShards  = 64
	shardSlots = 64 // at first; a power of two

	slotsPerPage = 4096 / int(unsafe.Sizeof(keyHash{})) // of the system's memory, not of bbolt's file
)

// A keySet remembers keys by 128 bits of keyed hash instead of by their text. A chance collision needs some 2^64 keys, and a chosen
// one the random seeds.
//
// The hashes lie in open tables, where a look takes one line of the processor's cache and the garbage collector finds
// nothing to follow. There are several tables so that only a small part of all is there twice when one has to grow.
type keySet struct {
	seeds  [2]maphash.Seed
	shards [keyShards]keyShard
}

type keyHash [2]uint64

type keyShard struct {
	slots []keyHash // zero where there is none
	used  int
}

func newKeySet() *keySet {
	return &keySet{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

func (s *keySet) hash(key []byte) keyHash {
	// The bit makes sure that it is not zero.
	return keyHash{maphash.Bytes(s.seeds[0], key), maphash.Bytes(s.seeds[1], key) | 1}
}

// add tells whether the key is new.
func (s *keySet) add(key []byte) bool {
	h := s.hash(key)
	t := &s.shards[h[1]>>1%keyShards]
	if t.used*4 >= len(t.slots)*3 {
		t.grow()
	}
	at := t.find(h)
	if t.slots[at] == h {
		return false
	}
	t.slots[at] = h
	t.used++
	return true
}

func (s *keySet) has(key []byte) bool {
	h := s.hash(key)
	t := &s.shards[h[1]>>1%keyShards]
	return t.used > 0 && t.slots[t.find(h)] == h
}

// find tells where h is, or where it would have to be. A quarter of the slots is always empty.
func (t *keyShard) find(h keyHash) uint64 {
	mask := uint64(len(t.slots) - 1)
	at := h[0] & mask
	for t.slots[at] != h && t.slots[at] != (keyHash{}) {
		at = (at + 1) & mask
	}
	return at
}

func (t *keyShard) grow() {
	old := t.slots
	t.slots = make([]keyHash, max(shardSlots, 2*len(old)))
	for i := 0; i < len(t.slots); i += slotsPerPage {
		t.slots[i] = keyHash{} // a page of memory that is read before it is written is set up twice
	}
	for _, h := range old {
		if h != (keyHash{}) {
			t.slots[t.find(h)] = h
		}
	}
}
