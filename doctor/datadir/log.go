package datadir

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// logFacts is what a write-ahead log and its raft snapshots say.
type logFacts struct {
	MemberID  uint64 `json:"member_id"`
	ClusterID uint64 `json:"cluster_id"`
	Term      uint64 `json:"term"`
	Commit    uint64 `json:"commit"`
	First     uint64 `json:"first"` // the first entry that the first segment is for
	Last      uint64 `json:"last"`  // the last entry
	LastTerm  uint64 `json:"last_term"`

	Snapshot point     `json:"snapshot"`       // the newest raft snapshot in the log that is committed: etcd 3.7 starts there
	Snap     *snapFile `json:"snap,omitempty"` // the newest .snap that the log knows: where etcd 3.6 and older start
	BadSnaps []string  `json:"bad_snaps,omitempty"`

	Fault     string `json:"fault,omitempty"`    // where etcd cannot go on reading
	FaultIn   string `json:"fault_in,omitempty"` // the segment
	FaultLast bool   `json:"fault_last,omitempty"`
	Torn      string `json:"torn,omitempty"` // where etcd cuts the last segment off by itself
	Gap       *gap   `json:"gap,omitempty"`

	Unreadable tally    `json:"unreadable"` // entries from Snapshot on that 3.7 dies of
	Disallowed tally    `json:"disallowed"` // entries from Snap on that 3.6 dies of
	Changes    []change `json:"changes,omitempty"`
	TooMany    bool     `json:"too_many,omitempty"` // more changes than were kept
}

// A point is a raft snapshot as the log has it.
type point struct {
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	Conf  *conf  `json:"conf,omitempty"`
}

// A conf is raft's own list of members.
type conf struct {
	Voters   []uint64 `json:"voters,omitempty"`
	Learners []uint64 `json:"learners,omitempty"`
}

// A gap is where entries are missing between two.
type gap struct {
	After uint64 `json:"after"`
	At    uint64 `json:"at"`
}

// logReader goes through the records of all segments once.
type logReader struct {
	facts    *logFacts
	metadata []byte
	starts   []uint64 // of each segment, by name
	last     uint64   // the last entry read, and its term
	lastTerm uint64
	points   []point
	gaps     []gap
	old      []oldEntry
	changes  []change
}

// readLog reads the log and then the newest raft snapshot that it knows.
func readLog(ctx context.Context, o order) (*logFacts, error) {
	r := &logReader{facts: &logFacts{}}
	if err := r.readSegments(ctx, o); err != nil {
		return nil, err
	}
	r.settle()
	if err := r.facts.readSnaps(o, r.valid()); err != nil {
		return nil, err
	}
	r.judge()
	return r.facts, nil
}

func (r *logReader) record(rec *walpb.Record) error {
	switch rec.GetType() {
	case wal.MetadataType:
		return r.seeMetadata(rec.Data)
	case wal.EntryType:
		e := &raftpb.Entry{}
		if err := proto.Unmarshal(rec.Data, e); err != nil {
			return fmt.Errorf("an entry that cannot be read: %w", err)
		}
		return r.seeEntry(e)
	case wal.StateType:
		s := &raftpb.HardState{}
		if err := proto.Unmarshal(rec.Data, s); err != nil {
			return fmt.Errorf("a state that cannot be read: %w", err)
		}
		r.facts.Term, r.facts.Commit = s.GetTerm(), s.GetCommit()
	case wal.SnapshotType:
		s := &walpb.Snapshot{}
		if err := proto.Unmarshal(rec.Data, s); err != nil {
			return fmt.Errorf("a snapshot's record that cannot be read: %w", err)
		}
		r.points = append(r.points, point{s.GetIndex(), s.GetTerm(), confOf(s.GetConfState())})
	default:
		return fmt.Errorf("a record of the unknown type %d", rec.GetType())
	}
	return nil
}

func (r *logReader) seeMetadata(data []byte) error {
	if r.metadata != nil {
		if !bytes.Equal(r.metadata, data) {
			return errors.New("a segment of another member's log")
		}
		return nil
	}
	m := &etcdserverpb.Metadata{}
	if err := proto.Unmarshal(data, m); err != nil {
		return fmt.Errorf("whose log it is cannot be read: %w", err)
	}
	r.metadata = bytes.Clone(data)
	r.facts.MemberID, r.facts.ClusterID = m.GetNodeID(), m.GetClusterID()
	return nil
}

// seeEntry keeps of an entry what may matter. An entry with an index that was there before replaces that one and all behind it: it
// was not committed.
func (r *logReader) seeEntry(e *raftpb.Entry) error {
	index := e.GetIndex()
	if index <= r.last {
		r.old = before(r.old, index, func(o oldEntry) uint64 { return o.index })
		r.changes = before(r.changes, index, func(c change) uint64 { return c.Index })
	} else if index > r.last+1 {
		r.gaps = append(r.gaps, gap{r.last, index})
	}
	r.last, r.lastTerm = index, e.GetTerm()
	switch e.GetType() {
	case raftpb.EntryNormal:
		if o := judgeEntry(index, e.GetData()); o.unreadable || o.disallowed {
			r.old = append(r.old, o)
		}
	case raftpb.EntryConfChange:
		c, err := readChange(index, e.GetData())
		if err != nil {
			return err
		}
		if len(r.changes) == maxChanges {
			r.facts.TooMany = true
			return nil
		}
		r.changes = append(r.changes, c)
	}
	return nil
}

// before cuts a list that is in order of index off before one.
func before[T any](list []T, index uint64, of func(T) uint64) []T {
	for len(list) > 0 && of(list[len(list)-1]) >= index {
		list = list[:len(list)-1]
	}
	return list
}

// valid are the raft snapshots that etcd may start from: those that are committed.
func (r *logReader) valid() (points []point) {
	for _, p := range r.points {
		if p.Index <= r.facts.Commit {
			points = append(points, p)
		}
	}
	return points
}

// settle finds out where etcd starts and what the log has from there on.
func (r *logReader) settle() {
	f := r.facts
	if valid := r.valid(); len(valid) > 0 {
		f.Snapshot = valid[len(valid)-1]
	}
	f.Last, f.LastTerm, f.Changes = r.last, r.lastTerm, r.changes
	if f.Last < f.Snapshot.Index {
		f.Last, f.LastTerm = f.Snapshot.Index, f.Snapshot.Term
	}
	for _, g := range r.gaps {
		if g.At > f.Snapshot.Index+1 {
			f.Gap = &g
			break
		}
	}
	if len(r.starts) > 0 && r.starts[0] > f.Snapshot.Index {
		f.Gap = &gap{f.Snapshot.Index, r.starts[0]}
	}
}

// judge counts the entries that a newer etcd dies of, from where it would start.
func (r *logReader) judge() {
	f := r.facts
	start := f.Snapshot.Index // 3.6 goes by what is on the disk as .snap
	if f.Snap != nil {
		start = f.Snap.Index
	}
	for _, o := range r.old {
		if o.unreadable && o.index > f.Snapshot.Index {
			f.Unreadable.see(o)
		}
		if o.disallowed && o.index > start {
			f.Disallowed.see(o)
		}
	}
}

func confOf(c *raftpb.ConfState) *conf {
	if c == nil {
		return nil
	}
	return &conf{Voters: c.GetVoters(), Learners: c.GetLearners()}
}
