package snapshot

import (
	"bytes"
	"encoding/binary"
	"encoding/json"

	"go.etcd.io/bbolt"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
)

// maxSmall bounds the values of the small buckets in bytes: a damaged length must not become a gigabyte of JSON.
const maxSmall = 1 << 20

// readContents fills in what the small buckets say.
func readContents(tx *bbolt.Tx, info *Info) error {
	for _, read := range []func(*bbolt.Tx, *Info) error{readMeta, readMembers, readAlarms} {
		if err := read(tx, info); err != nil {
			return err
		}
	}
	if b := tx.Bucket([]byte(leaseBucket)); b != nil {
		c := b.Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			info.Leases++
		}
	}
	if b := tx.Bucket([]byte(authBucket)); b != nil {
		enabled := b.Get([]byte("authEnabled"))
		info.AuthEnabled = len(enabled) == 1 && enabled[0] == 1
	}
	return nil
}

// readMeta reads where the member stood in the raft log, and the versions. Etcd 3.5 writes no storage version; it is known
// by the term, which 3.4 did not write.
func readMeta(tx *bbolt.Tx, info *Info) error {
	var err error
	if info.CompactRevision, err = compacted(tx); err != nil {
		return err
	}
	if info.Revision, err = head(tx, info.CompactRevision); err != nil {
		return err
	}
	if b := tx.Bucket([]byte(metaBucket)); b != nil {
		info.ConsistentIndex = number(b.Get([]byte("consistent_index")))
		info.Term = number(b.Get([]byte("term")))
		info.StorageVersion = small(b.Get([]byte("storageVersion")))
		if info.StorageVersion == "" && info.Term > 0 {
			info.StorageVersion = "3.5.0"
		}
	}
	if b := tx.Bucket([]byte(clusterBucket)); b != nil {
		info.ClusterVersion = small(b.Get([]byte("clusterVersion")))
	}
	return nil
}

func number(v []byte) uint64 {
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// small is a short text of the file, made fit to print.
func small(v []byte) string { return printable(string(v[:min(len(v), 64)])) }

// readMembers reads the membership as stored, which a restore drops.
func readMembers(tx *bbolt.Tx, info *Info) error {
	b := tx.Bucket([]byte(membersBucket))
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, v []byte) error {
		var m struct {
			ID         uint64   `json:"id"`
			Name       string   `json:"name"`
			PeerURLs   []string `json:"peerURLs"`
			ClientURLs []string `json:"clientURLs"`
			IsLearner  bool     `json:"isLearner"`
		}
		if len(v) > maxSmall || json.Unmarshal(v, &m) != nil {
			return damaged("member %q in the file cannot be read", k[:min(len(k), 64)])
		}
		info.Members = append(info.Members, Member{Name: m.Name, ID: m.ID, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Learner: m.IsLearner})
		return nil
	})
}

// readAlarms reads the alarms, which a restore has to clear: NOSPACE goes on blocking writes.
func readAlarms(tx *bbolt.Tx, info *Info) error {
	b := tx.Bucket([]byte(alarmBucket))
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, _ []byte) error {
		var m pb.AlarmMember
		if len(k) > maxSmall || proto.Unmarshal(k, &m) != nil {
			return damaged("alarm %x in the file cannot be read", k[:min(len(k), 64)])
		}
		info.Alarms = append(info.Alarms, Alarm{m.GetAlarm().String(), m.GetMemberID()}.String())
		return nil
	})
}

// readKeys goes through all records, the newest first.
func readKeys(tx *bbolt.Tx, o InspectOptions, info *Info) error {
	point := HashPoint{info.Revision, info.CompactRevision}
	if o.HashAt != nil {
		point = *o.HashAt
	}
	if err := checkPoint(tx, point.Revision, point.CompactRevision); err != nil {
		return err
	}
	k := newKeeper(point.Revision, point.CompactRevision)
	defer k.end()
	live := liveKeys{info: info, encryption: encryptionKeys{}}
	if o.Prefixes {
		live.prefixes = prefixes{}
	}
	later := newKeySet() // keys with a record above the hash's revision: older ones are not live, whatever the keeper says
	above := false
	err := newestFirst(tx, func(r record) error {
		info.Records++
		newest := false
		if r.main > point.Revision {
			newest, above = later.add(r.key), true
		} else {
			newest = k.see(r) && !(above && later.has(r.key))
		}
		if newest && !r.tombstone && !r.bump() {
			live.see(r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	info.EncryptionProviders, info.Prefixes = live.encryption.list(), live.prefixes
	info.Hash = Hash{k.hash(tx), point.Revision, point.CompactRevision}
	return nil
}

// liveKeys looks at each live key once.
type liveKeys struct {
	info       *Info
	encryption encryptionKeys
	prefixes   prefixes
}

func (l liveKeys) see(r record) {
	l.info.LiveKeys++
	l.encryption.see(r.value)
	if !l.info.Kubernetes && bytes.HasPrefix(r.key, []byte(kubernetesPrefix)) {
		l.info.Kubernetes = true
	}
	if l.prefixes != nil {
		l.prefixes.see(r.key)
	}
}
