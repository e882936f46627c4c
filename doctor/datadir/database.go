package datadir

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/pkg/v3/types"
)

// lockWait bounds the wait for the lock on a database of which the parent process already holds a shared one.
const lockWait = 2 * time.Second

// dbFacts is what the small buckets of a database say that a snapshot's inspection leaves out.
type dbFacts struct {
	Members   []Member `json:"members,omitempty"`
	Removed   []uint64 `json:"removed,omitempty"`
	Conf      *conf    `json:"conf,omitempty"` // raft's own list, which etcd 3.5 and later keep there
	Downgrade string   `json:"downgrade,omitempty"`
}

// readDatabase reads them. The file has been checked before: here it is only opened once more, for reading.
func readDatabase(path string) (*dbFacts, error) {
	db, err := bbolt.Open(path, 0o400, &bbolt.Options{ReadOnly: true, Timeout: lockWait, OpenFile: openForReading})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	defer db.Close()
	f := &dbFacts{}
	err = db.View(func(tx *bbolt.Tx) error {
		if err := f.readMembers(tx); err != nil {
			return err
		}
		return f.readSettings(tx)
	})
	return f, err
}

// openForReading ignores what bbolt asks for.
func openForReading(name string, _ int, _ os.FileMode) (*os.File, error) { return os.Open(name) }

func (f *dbFacts) readMembers(tx *bbolt.Tx) error {
	if b := tx.Bucket([]byte("members")); b != nil {
		err := b.ForEach(func(k, v []byte) error {
			var m struct {
				ID         uint64   `json:"id"`
				Name       string   `json:"name"`
				PeerURLs   []string `json:"peerURLs"`
				ClientURLs []string `json:"clientURLs"`
				IsLearner  bool     `json:"isLearner"`
			}
			id, err := types.IDFromString(string(k))
			if err == nil {
				err = json.Unmarshal(v, &m)
			}
			if err != nil {
				return damage("member %q of it cannot be read: %v", word(string(k)), err)
			}
			f.Members = append(f.Members, Member{uint64(id), m.Name, m.PeerURLs, m.ClientURLs, m.IsLearner})
			return nil
		})
		if err != nil {
			return err
		}
	}
	if b := tx.Bucket([]byte("members_removed")); b != nil {
		err := b.ForEach(func(k, _ []byte) error {
			id, err := types.IDFromString(string(k))
			if err != nil {
				return damage("removed member %q of it cannot be read: %v", word(string(k)), err)
			}
			f.Removed = append(f.Removed, uint64(id))
			return nil
		})
		if err != nil {
			return err
		}
	}
	sortMembers(f.Members)
	slices.Sort(f.Removed)
	return nil
}

func (f *dbFacts) readSettings(tx *bbolt.Tx) error {
	if b := tx.Bucket([]byte("meta")); b != nil {
		if v := b.Get([]byte("confState")); v != nil {
			f.Conf = &conf{}
			if err := json.Unmarshal(v, f.Conf); err != nil {
				return damage("raft's list of members in it cannot be read: %v", err)
			}
		}
	}
	if b := tx.Bucket([]byte("cluster")); b != nil {
		if v := b.Get([]byte("downgrade")); v != nil {
			var d struct {
				TargetVersion string `json:"target-version"`
				Enabled       bool   `json:"enabled"`
			}
			if err := json.Unmarshal(v, &d); err != nil {
				return damage("the downgrade in it cannot be read: %v", err)
			}
			if d.Enabled {
				f.Downgrade = word(d.TargetVersion)
			}
		}
	}
	return nil
}
