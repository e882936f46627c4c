// Package datadir looks into a data directory of etcd and tells what an operator has to know before he starts an etcd on it, upgrades
// it, or takes it as the source of a new cluster.
//
// It changes nothing: no file is opened for writing, no lock is waited for, and nothing that etcd would repair is repaired. What is in
// the files is untrusted and is read in child processes, which may die of it. The package does not say what to choose; it says what is
// there and what etcd will make of it.
package datadir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// A Dir is what a data directory holds. What could not be read is zero, and a Finding says why.
type Dir struct {
	Path     string `json:"path"`
	Database string `json:"database"`         // the database in it, whether it is there or not
	InUse    bool   `json:"in_use"`           // an etcd is at work on it: the database was not opened
	Holder   string `json:"holder,omitempty"` // who, where that can be seen

	MemberID  uint64   `json:"member_id"` // of whom the directory is, as the write-ahead log says
	ClusterID uint64   `json:"cluster_id"`
	Members   []Member `json:"members,omitempty"` // as the database has them
	Removed   []uint64 `json:"removed,omitempty"` // ids of members that were removed

	Revision        int64          `json:"revision"`
	CompactRevision int64          `json:"compact_revision"`
	LiveKeys        int64          `json:"live_keys"`
	Hash            *snapshot.Hash `json:"hash,omitempty"` // HashKV at Revision, to compare survivors by
	StorageVersion  string         `json:"storage_version,omitempty"`
	ClusterVersion  string         `json:"cluster_version,omitempty"`

	ConsistentIndex uint64 `json:"consistent_index"` // the last raft entry that is in the database
	Term            uint64 `json:"term"`             // the raft term the member has seen
	Commit          uint64 `json:"commit"`           // what it knew to be committed
	WALIndex        uint64 `json:"wal_index"`        // the last entry of its log, and that entry's term
	WALTerm         uint64 `json:"wal_term"`
	SnapshotIndex   uint64 `json:"snapshot_index"` // the raft snapshot etcd starts from

	Modified  time.Time `json:"modified"`   // when the database or the log was written last
	Size      int64     `json:"size"`       // bytes of all files
	DBSize    int64     `json:"db_size"`    // bytes of the database
	FreeBytes int64     `json:"free_bytes"` // of the database: what a defragmentation would give back

	Findings []Finding `json:"findings"` // in the order in which they should be read
}

// A Member is one member of the cluster as the database of the directory has it.
type Member struct {
	ID         uint64   `json:"id"`
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peer_urls,omitempty"`
	ClientURLs []string `json:"client_urls,omitempty"`
	Learner    bool     `json:"learner,omitempty"`
}

// A Finding is something about a directory, or several, that an operator has to know.
type Finding struct {
	Code   string `json:"code"`   // one of the constants below; docs/data-directories.md has a section on each
	Detail string `json:"detail"` // what is there
	Advice string `json:"advice"` // what to do about it
	Severe bool   `json:"severe"` // etcd does not start on it, or starts and is wrong
}

// What can be found, by code. See docs/data-directories.md.
const (
	NoData      = "no-data"
	WrongKind   = "wrong-kind"
	InUse       = "in-use"
	DBMissing   = "db-missing"
	DBDamaged   = "db-damaged"
	DBBehind    = "db-behind"
	DBAhead     = "db-ahead"
	WALMissing  = "wal-missing"
	WALDamaged  = "wal-damaged"
	WALGap      = "wal-gap"
	WALTorn     = "wal-torn"
	SnapDamaged = "snap-damaged"

	V2Leftovers    = "v2-leftovers"
	V2Content      = "v2-content"
	ZombieMembers  = "zombie-members"
	LearnerVoter   = "learner-voter"
	SelfRemoved    = "self-removed"
	StorageVersion = "storage-version"
	Downgrade      = "downgrade"
	Alarm          = "alarm"

	Fragmented     = "fragmented"
	BrokenFiles    = "broken-files"
	TemporaryFiles = "temporary-files"

	TwoClusters = "two-clusters"
	SameMember  = "same-member"
)

// attempts is how often a directory is looked at again because a file of it was gone: an etcd that runs removes old ones.
const attempts = 3

// Inspect looks into a data directory: DIR, or DIR/member. What is wrong with the data is a finding; an error says that the directory
// could not be looked into, which says nothing about it. It ends when ctx does.
func Inspect(ctx context.Context, path string) (*Dir, error) {
	var err error
	for range attempts {
		var d *Dir
		if d, err = inspect(ctx, path); !errors.Is(err, errGone) {
			return d, err
		}
	}
	return nil, err
}

func inspect(ctx context.Context, path string) (*Dir, error) {
	f, err := survey(path)
	if err != nil {
		return nil, err
	}
	defer f.close()
	d := &Dir{Path: path, Database: filepath.Join(f.snapDir, "db"), Modified: f.modified, Size: f.size, Findings: append([]Finding{}, f.findings...)}
	if !f.data {
		return d, nil
	}
	d.Holder = f.holder()
	d.InUse = d.Holder != ""
	c := &contents{dir: d, files: f}
	if err := c.read(ctx); err != nil {
		return nil, fmt.Errorf("look into %s: %w", path, err)
	}
	c.judge()
	return d, nil
}

// Severe reports whether any finding is.
func (d *Dir) Severe() bool {
	for _, f := range d.Findings {
		if f.Severe {
			return true
		}
	}
	return false
}

// Has reports whether something was found, by its code.
func (d *Dir) Has(code string) bool {
	for _, f := range d.Findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

// Compare orders directories of members of one cluster by what they know: negative if b knows more than a. It is raft's own rule for
// who may lead: the term of the log's last entry, then its index. Of all survivors the greatest has every write that was acknowledged
// and that any of them has.
func Compare(a, b *Dir) int {
	return cmp.Or(
		cmp.Compare(a.WALTerm, b.WALTerm),
		cmp.Compare(a.WALIndex, b.WALIndex),
		cmp.Compare(max(a.Commit, a.ConsistentIndex), max(b.Commit, b.ConsistentIndex)),
		cmp.Compare(a.ConsistentIndex, b.ConsistentIndex),
		cmp.Compare(a.Revision, b.Revision),
	)
}
