package datadir

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// maxChanges bounds how many changes of the membership are kept: no cluster has as many between two raft snapshots.
const maxChanges = 10_000

// A change is an entry of the log that changes the membership, if etcd accepts it when it comes to it.
type change struct {
	Index    uint64   `json:"index"`
	Kind     string   `json:"kind"` // add, learner, promote, remove, update
	ID       uint64   `json:"id"`
	PeerURLs []string `json:"peer_urls,omitempty"`
}

// readChange reads a change of the membership, which etcd must be able to.
func readChange(index uint64, data []byte) (change, error) {
	cc := &raftpb.ConfChange{}
	if err := proto.Unmarshal(data, cc); err != nil {
		return change{}, fmt.Errorf("entry %d, a change of the members that cannot be read: %w", index, err)
	}
	c := change{Index: index, ID: cc.GetNodeId()}
	about := membership.ConfigChangeContext{}
	if len(cc.GetContext()) > 0 {
		if err := json.Unmarshal(cc.GetContext(), &about); err != nil {
			return change{}, fmt.Errorf("entry %d, a change of a member that cannot be read: %w", index, err)
		}
	}
	c.PeerURLs = about.PeerURLs
	switch cc.GetType() {
	case raftpb.ConfChangeAddNode:
		c.Kind = "add"
		if about.IsPromote {
			c.Kind = "promote"
		}
	case raftpb.ConfChangeAddLearnerNode:
		c.Kind = "learner"
	case raftpb.ConfChangeRemoveNode:
		c.Kind = "remove"
	case raftpb.ConfChangeUpdateNode:
		c.Kind = "update"
	}
	return c, nil
}

// A seat is a member as raft and the log have it.
type seat struct {
	voter bool
	urls  []string
}

// A roster is the membership at one index of the log.
type roster struct {
	seats   map[uint64]seat
	removed map[uint64]bool
}

// rosterAt follows the membership from the raft snapshot to an entry of the log. Nil: the log does not tell.
func (f *logFacts) rosterAt(index uint64) *roster {
	r := &roster{seats: map[uint64]seat{}, removed: map[uint64]bool{}}
	from := uint64(0)
	switch {
	case f.TooMany || f.Gap != nil || index > f.Last:
		return nil
	case f.Snap != nil && f.Snap.Conf != nil && f.Snap.Store == "":
		from = f.Snap.Index
		r.take(f.Snap.Conf)
		r.describe(f.Snap)
	case f.Snapshot.Index > 0 && f.Snapshot.Conf != nil:
		from = f.Snapshot.Index
		r.take(f.Snapshot.Conf)
	case f.Snapshot.Index > 0:
		return nil
	}
	if from > index {
		return nil
	}
	for _, c := range f.Changes {
		if c.Index > from && c.Index <= index {
			r.apply(c)
		}
	}
	return r
}

func (r *roster) take(c *conf) {
	for _, id := range c.Voters {
		r.seats[id] = seat{voter: true}
	}
	for _, id := range c.Learners {
		r.seats[id] = seat{}
	}
}

// describe adds the addresses. Who is a member only in the store is none.
func (r *roster) describe(s *snapFile) {
	for _, m := range s.Members {
		if at, is := r.seats[m.ID]; is {
			at.urls = m.PeerURLs
			r.seats[m.ID] = at
		}
	}
	for _, id := range s.Removed {
		r.removed[id] = true
	}
}

// apply makes a change, or not, as etcd would: one that makes no sense stays in the log and has no effect.
func (r *roster) apply(c change) {
	at, is := r.seats[c.ID]
	if r.removed[c.ID] {
		return
	}
	switch c.Kind {
	case "add", "learner":
		if !is && !r.uses(c.PeerURLs) {
			r.seats[c.ID] = seat{voter: c.Kind == "add", urls: c.PeerURLs}
		}
	case "promote":
		if is {
			at.voter = true
			r.seats[c.ID] = at
		}
	case "remove":
		if is {
			delete(r.seats, c.ID)
			r.removed[c.ID] = true
		}
	case "update":
		if is {
			at.urls = c.PeerURLs
			r.seats[c.ID] = at
		}
	}
}

func (r *roster) uses(urls []string) bool {
	for _, s := range r.seats {
		for _, u := range s.urls {
			if slices.Contains(urls, u) {
				return true
			}
		}
	}
	return false
}

func sortMembers(members []Member) {
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
}
