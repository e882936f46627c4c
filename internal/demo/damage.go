package demo

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

const (
	// tombstone is the length of the key under which a deletion stands; a write's is one byte shorter.
	tombstone = 18
	// minValue is how long a value must be for its middle to be beyond mistaking, in bytes.
	minValue = 100
)

// flipBit changes one bit in the middle of the newest value of a restored member, at its length, as a failing disk or memory
// would: bbolt does not notice, nor does etcd. It answers whose value it was.
func flipBit(dataDir string) (key string, err error) {
	db, err := bbolt.Open(filepath.Join(dataDir, "member", "snap", "db"), fileMode, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return "", err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("key"))
		c := b.Cursor()
		seen := map[string]bool{} // what was written or deleted later: an older value nobody reads
		for at, packed := c.Last(); at != nil; at, packed = c.Prev() {
			var kv mvccpb.KeyValue
			if err := proto.Unmarshal(packed, &kv); err != nil {
				return fmt.Errorf("record %x: %w", at, err)
			}
			if len(at) < tombstone && len(kv.Value) >= minValue && !seen[string(kv.Key)] {
				key = string(kv.Key)
				return b.Put(bytes.Clone(at), flipped(packed, kv.Value))
			}
			seen[string(kv.Key)] = true
		}
		return errors.New("no value to flip a bit of")
	})
	return key, errors.Join(err, db.Close())
}

// flipped is a record with one bit of its value changed.
func flipped(packed, value []byte) []byte {
	changed := bytes.Clone(packed)
	changed[bytes.Index(packed, value)+len(value)/2] ^= 1
	return changed
}
