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
// a record that cannot be read is ErrDamaged. It reads the key bucket twice, and its memory grows with the number of keys
// by some 30 bytes for each, with that of records by a bit.
//
// The algorithm is etcd's (server/v3/storage/mvcc/hash.go, key_index.go: keep), the same since 3.4.
func HashKV(tx *bbolt.Tx, rev, compactRev int64) (uint32, error) {
	if err := checkPoint(tx, rev, compactRev); err != nil {
		return 0, err
	}
	k := newKeeper(rev, compactRev)
	err := newestFirst(tx, func(r record) error {
		k.see(r)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return k.hash(tx)
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

// A keeper finds, from the newest record to the oldest, the records that etcd's index would keep in a compaction at rev: of
// each key the newest up to rev, unless it is a tombstone. Which they are matters only up to compactRev, so only there
// it remembers one bit for each.
type keeper struct {
	rev, compactRev int64

	seen *keySet
	bits []uint64 // of the records up to compactRev, the newest first
	old  int      // how many of them there are
	any  bool     // something is kept, wherever
}

func newKeeper(rev, compactRev int64) *keeper {
	return &keeper{rev: rev, compactRev: compactRev, seen: newKeySet()}
}

// see takes the next older record. It tells whether the record is its key's newest up to rev.
func (k *keeper) see(r record) (newest bool) {
	if r.main > k.rev {
		return false
	}
	newest = k.seen.add(r.key)
	keep := newest && !r.tombstone
	k.any = k.any || keep
	if r.main <= k.compactRev {
		if k.old%64 == 0 {
			k.bits = append(k.bits, 0)
		}
		if keep {
			k.bits[k.old/64] |= 1 << (k.old % 64)
		}
		k.old++
	}
	return newest
}

// hash goes through the records once more, now from the oldest.
func (k *keeper) hash(tx *bbolt.Tx) (uint32, error) {
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := crc32.Update(0, table, []byte(keyBucket))
	left := k.old
	c := tx.Bucket([]byte(keyBucket)).Cursor()
	for key, value := c.First(); key != nil; key, value = c.Next() {
		r := record{revision: key, entry: value, main: revisionMain(key), tombstone: len(key) == 18 && key[17] == 't'}
		if r.main > k.rev {
			break
		}
		if r.main <= k.compactRev {
			left--
			kept := k.bits[left/64]&(1<<(left%64)) != 0
			// Nothing to keep means nothing to skip: etcd takes an empty set for "there is no compaction".
			if k.any && !kept {
				continue
			}
			// Versions up to 3.5.15 delete the tombstone at the compact revision itself, later ones keep it.
			if r.main == k.compactRev && r.tombstone {
				continue
			}
		}
		crc = crc32.Update(crc, table, r.revision)
		crc = crc32.Update(crc, table, r.entry)
	}
	return crc, nil
}
