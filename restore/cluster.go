package restore

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// raftTerm is the term every restored cluster begins in, as with etcdutl.
const raftTerm = 1

// A cluster is the identity of the cluster to be made: who its members are, by name and by raft id. It is the same in
// every run with the same token and members, wherever that runs.
type cluster struct {
	raft    *membership.RaftCluster
	members []*membership.Member // in the order of their ids
	voters  []uint64
}

// newCluster computes the ids the way a bootstrapping etcd does.
func newCluster(token string, members []Member) (*cluster, error) {
	urls, err := types.NewURLsMap(initialCluster(members))
	if err != nil {
		return nil, &UsageError{Reason: fmt.Sprintf("the members do not make a cluster: %v", err), Advice: "look at the peer URLs"}
	}
	c := &cluster{}
	if c.raft, err = membership.NewClusterFromURLsMap(zap.NewNop(), token, urls); err != nil {
		return nil, &UsageError{Reason: fmt.Sprintf("the members do not make a cluster: %v", err), Advice: "look at the peer URLs"}
	}
	c.members = c.raft.Members()
	for _, m := range c.members {
		c.voters = append(c.voters, uint64(m.ID))
	}
	return c, nil
}

// index is the raft index of the last membership entry: where a restored log begins.
func (c *cluster) index() uint64 { return uint64(len(c.members)) }

func (c *cluster) member(name string) *membership.Member { return c.raft.MemberByName(name) }

// records are the members as the database keeps them.
func (c *cluster) records() ([]record, error) {
	var all []record
	for _, m := range c.members {
		value, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		all = append(all, record{"members", []byte(m.ID.String()), value})
	}
	return all, nil
}

func (c *cluster) confState() *raftpb.ConfState { return &raftpb.ConfState{Voters: c.voters} }

// writeLog writes what makes a database the data of one member: the raft snapshot into memberDir/snap, and the write-ahead log
// with the membership into memberDir/wal, which appears last and whole. Everything is durable when it returns.
func (c *cluster) writeLog(memberDir, name string) error {
	raftSnap := &raftpb.Snapshot{
		Data: etcdserver.GetMembershipInfoInV2Format(zap.NewNop(), c.raft),
		Metadata: &raftpb.SnapshotMetadata{
			Index: proto.Uint64(c.index()), Term: proto.Uint64(raftTerm), ConfState: c.confState(),
		},
	}
	snapDir := filepath.Join(memberDir, "snap")
	if err := snap.New(zap.NewNop(), snapDir).SaveSnap(raftSnap); err != nil {
		return fmt.Errorf("write the raft snapshot: %w", err)
	}
	if err := syncAt(snapDir); err != nil {
		return err
	}
	making := filepath.Join(memberDir, "wal.partial")
	if err := c.writeWAL(making, name); err != nil {
		return fmt.Errorf("write the write-ahead log %s: %w", making, err)
	}
	if err := syncAt(making); err != nil {
		return err
	}
	if err := os.Rename(making, filepath.Join(memberDir, "wal")); err != nil {
		return err
	}
	return syncAt(memberDir)
}

func (c *cluster) writeWAL(dir, name string) (err error) {
	meta, err := proto.Marshal(&etcdserverpb.Metadata{
		NodeID: proto.Uint64(uint64(c.member(name).ID)), ClusterID: proto.Uint64(uint64(c.raft.ID())),
	})
	if err != nil {
		return err
	}
	entries, err := c.entries()
	if err != nil {
		return err
	}
	w, err := wal.Create(zap.NewNop(), dir, meta)
	if err != nil {
		return err
	}
	defer func() {
		if closed := w.Close(); err == nil {
			err = closed
		}
		_ = os.Remove(filepath.Join(dir, "0.tmp")) // the next segment, for which there was no room; otherwise it is gone
	}()
	state := &raftpb.HardState{
		Term: proto.Uint64(raftTerm), Vote: proto.Uint64(c.voters[0]), Commit: proto.Uint64(c.index()),
	}
	if err := w.Save(state, entries); err != nil {
		return err
	}
	return w.SaveSnapshot(&walpb.Snapshot{
		Index: proto.Uint64(c.index()), Term: proto.Uint64(raftTerm), ConfState: c.confState(),
	})
}

// entries are the committed changes that added each member.
func (c *cluster) entries() ([]*raftpb.Entry, error) {
	var all []*raftpb.Entry
	for i, m := range c.members {
		about, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		change, err := proto.Marshal(&raftpb.ConfChange{
			Type: raftpb.ConfChangeAddNode.Enum(), NodeId: proto.Uint64(uint64(m.ID)), Context: about,
		})
		if err != nil {
			return nil, err
		}
		all = append(all, &raftpb.Entry{
			Type: raftpb.EntryConfChange.Enum(), Term: proto.Uint64(raftTerm), Index: proto.Uint64(uint64(i + 1)), Data: change,
		})
	}
	return all, nil
}
