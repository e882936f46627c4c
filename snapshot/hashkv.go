package snapshot

import (
	"errors"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"
)

// A Hash is etcd's digest of the keys at a revision: two members, or a file and a member, with equal Revision and
// CompactRevision hold the same keys if and only if Hash is equal, but for the chance of a CRC of 32 bits.
// CompactRevision is -1 where there was never a compaction, as etcd has it.
type Hash struct {
	Hash            uint32 `json:"hash"`
	Revision        int64  `json:"revision"`
	CompactRevision int64  `json:"compact_revision"`
}

// ErrRevision says that a hash cannot be computed at the wanted revision: it is compacted, or yet to come.
var ErrRevision = errors.New("revision not available")

// HashKV computes offline what a member with this file answers to the HashKV request for rev, if its compact revision is compactRev.
// rev must not lie above the file's head, and compactRev neither above rev nor below the file's own, else ErrRevision;
// a record that cannot be read is ErrDamaged. It reads the key bucket once, from its end, and its memory grows with the number
// of keys by some 30 bytes for each.
//
// The algorithm is etcd's (server/v3/storage/mvcc/hash.go, key_index.go: keep), the same since 3.4.
func HashKV(tx *bbolt.Tx, rev, compactRev int64) (uint32, error) {
	if err := checkPoint(tx, rev, compactRev); err != nil {
		return 0, err
	}
	k := newKeeper(rev, compactRev)
	defer k.end()
	err := newestFirst(tx, func(r record) error {
		k.see(r)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return k.hash(tx), nil
}

func checkPoint(tx *bbolt.Tx, rev, compactRev int64) error {
	own, err := compacted(tx)
	if err != nil {
		return err
	}
	last, err := head(tx, own)
	switch {
	case err != nil:
		return err
	case rev > last:
		return fmt.Errorf("%w: %d is above the file's last, %d", ErrRevision, rev, last)
	case compactRev < own:
		return fmt.Errorf("%w: the file is compacted up to %d, above %d", ErrRevision, own, compactRev)
	case compactRev > rev:
		return fmt.Errorf("%w: %d is compacted, up to %d", ErrRevision, rev, compactRev)
	}
	return nil
}

// A keeper hashes, from the newest record to the oldest, those that etcd hashes: of the records up to compactRev only the ones that its
// index would keep in a compaction at rev, which are of each key the newest up to rev, unless it is a tombstone.
type keeper struct {
	rev, compactRev int64

	seen   *keySet
	any    bool // something is kept, wherever
	hashed *prepender
}

// newKeeper makes one, which needs an end.
func newKeeper(rev, compactRev int64) *keeper {
	return &keeper{rev: rev, compactRev: compactRev, seen: newKeySet(), hashed: newPrepender()}
}

// see takes the next older record. It tells whether the record is its key's newest up to rev.
func (k *keeper) see(r record) (newest bool) {
	if r.main > k.rev {
		return false
	}
	newest = k.seen.add(r.key)
	keep := newest && !r.tombstone
	k.any = k.any || keep
	if keep || r.main > k.compactRev {
		k.hashed.prepend(r.entry)
		k.hashed.prepend(r.revision)
	}
	return newest
}

// end has to come before the transaction of the records ends.
func (k *keeper) end() { k.hashed.end() }

// hash is the hash once all records were seen.
func (k *keeper) hash(tx *bbolt.Tx) uint32 {
	if !k.any {
		return k.hashAll(tx)
	}
	crc := k.hashed.end()
	return combineCRC(crc32.Checksum([]byte(keyBucket), crc32.MakeTable(crc32.Castagnoli)), crc, k.hashed.size)
}

// hashAll hashes where nothing is kept, which means that nothing is skipped: etcd takes an empty set for "there is no compaction".
func (k *keeper) hashAll(tx *bbolt.Tx) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := crc32.Checksum([]byte(keyBucket), table)
	c := tx.Bucket([]byte(keyBucket)).Cursor()
	for key, value := c.First(); key != nil && revisionMain(key) <= k.rev; key, value = c.Next() {
		// Versions up to 3.5.15 delete the tombstone at the compact revision itself, later ones keep it.
		if revisionMain(key) == k.compactRev && len(key) == 18 && key[17] == 't' {
			continue
		}
		crc = crc32.Update(crc, table, key)
		crc = crc32.Update(crc, table, value)
	}
	return crc
}
