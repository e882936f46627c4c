package snapshot

import (
	"encoding/binary"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protowire"
)

// Names of etcd's buckets and of the keys in them (server/v3/storage/schema/bucket.go).
const (
	keyBucket     = "key"
	metaBucket    = "meta"
	leaseBucket   = "lease"
	alarmBucket   = "alarm"
	clusterBucket = "cluster"
	membersBucket = "members"
	authBucket    = "auth"
)

// A record is one entry of the key bucket: one version of one key. Its slices point into the mapped file.
type record struct {
	revision  []byte // as stored: main, '_', sub, and 't' if it is a tombstone
	entry     []byte // as stored: a mvccpb.KeyValue, or nothing at all in the record that a revision bump leaves behind
	main      int64
	tombstone bool
	key       []byte
	value     []byte
}

// bump tells whether this is the empty record of a revision bump, which etcd takes for a version of the key "" that no
// client can see.
func (r record) bump() bool { return len(r.entry) == 0 }

// parseRecord reads a record as etcd does, but gives an error where etcd panics.
func parseRecord(k, v []byte) (record, error) {
	r := record{revision: k, entry: v}
	if len(k) != 17 && len(k) != 18 || k[8] != '_' {
		return r, damaged("%d bytes %x in the key bucket are no revision", len(k), k[:min(len(k), 32)])
	}
	r.main = int64(binary.BigEndian.Uint64(k))
	if r.main < 0 || int64(binary.BigEndian.Uint64(k[9:17])) < 0 {
		return r, damaged("negative revision %x in the key bucket", k)
	}
	r.tombstone = len(k) == 18 && k[17] == 't'
	return r, r.parseEntry()
}

// parseEntry finds key (field 1) and value (field 5) of a mvccpb.KeyValue without copying either.
func (r *record) parseEntry() error {
	for rest := r.entry; len(rest) > 0; {
		num, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return damaged("record %x is no key and value", r.revision)
		}
		rest = rest[n:]
		if kind == protowire.BytesType && (num == 1 || num == 5) {
			var b []byte
			if b, n = protowire.ConsumeBytes(rest); num == 1 {
				r.key = b
			} else {
				r.value = b
			}
		} else {
			n = protowire.ConsumeFieldValue(num, kind, rest)
		}
		if n < 0 {
			return damaged("record %x is no key and value", r.revision)
		}
		rest = rest[n:]
	}
	return nil
}

// newestFirst gives visit every record of the key bucket from the last to the first.
func newestFirst(tx *bbolt.Tx, visit func(record) error) error {
	b := tx.Bucket([]byte(keyBucket))
	if b == nil {
		return damaged("the file has no bucket %q: it is no etcd database", keyBucket)
	}
	c := b.Cursor()
	for k, v := c.Last(); k != nil; k, v = c.Prev() {
		r, err := parseRecord(k, v)
		if err != nil {
			return err
		}
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

// compacted gives the revision up to which history is or will be gone, -1 if there was never a compaction. The scheduled
// revision counts as soon as it is written: records below it may be missing already, and a member that starts on the file
// finishes the work before it answers anything.
func compacted(tx *bbolt.Tx) (int64, error) {
	rev := int64(-1)
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		return rev, nil
	}
	for _, name := range []string{"finishedCompactRev", "scheduledCompactRev"} {
		v := meta.Get([]byte(name))
		if v == nil {
			continue
		}
		if len(v) != 17 || v[8] != '_' || int64(binary.BigEndian.Uint64(v)) < 0 {
			return rev, damaged("%s in the meta bucket is no revision: %x", name, v[:min(len(v), 32)])
		}
		rev = max(rev, int64(binary.BigEndian.Uint64(v)))
	}
	return rev, nil
}

// head is the revision a member that starts on the file answers with: that of the newest record, unless everything up to a
// later compaction is gone. A cluster begins at 1.
func head(tx *bbolt.Tx, compactRevision int64) (int64, error) {
	rev := max(1, compactRevision)
	b := tx.Bucket([]byte(keyBucket))
	if b == nil {
		return 0, damaged("the file has no bucket %q: it is no etcd database", keyBucket)
	}
	k, v := b.Cursor().Last()
	if k == nil {
		return rev, nil
	}
	r, err := parseRecord(k, v)
	return max(rev, r.main), err
}

// revisionMain is the main revision of a key that parseRecord has accepted.
func revisionMain(k []byte) int64 { return int64(binary.BigEndian.Uint64(k)) }
