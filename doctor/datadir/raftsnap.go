package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v2store"
	"go.uber.org/zap"
)

// maxSnap bounds what is read of a .snap, in bytes: with nothing but members in it it has a few thousand.
const maxSnap = 1 << 30

// A snapFile is a raft snapshot: with etcd 3.6 and older, the members and all else that is stored in the form of etcd 2.
type snapFile struct {
	Name    string   `json:"name"`
	Index   uint64   `json:"index"`
	Term    uint64   `json:"term"`
	Conf    *conf    `json:"conf,omitempty"`
	Members []Member `json:"members,omitempty"`
	Removed []uint64 `json:"removed,omitempty"`
	Custom  bool     `json:"custom,omitempty"` // it holds more than etcd's own: keys or users of etcd 2
	Store   string   `json:"store,omitempty"`  // why the content cannot be read
}

// readSnaps finds the newest raft snapshot that can be read and is one of valid, as etcd does.
func (f *logFacts) readSnaps(o order, valid []point) error {
	for _, name := range o.Snaps {
		s, err := readSnap(filepath.Join(o.SnapDir, name), name)
		switch {
		case errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist):
			return err
		case err != nil:
			f.BadSnaps = append(f.BadSnaps, fmt.Sprintf("%s (%s)", name, word(err.Error())))
		case slices.ContainsFunc(valid, func(p point) bool { return p.Index == s.Index && p.Term == s.Term }):
			f.Snap = s
			return nil
		}
	}
	return nil
}

func readSnap(path, name string) (*snapFile, error) {
	file, err := open(path, maxSnap)
	if err != nil {
		return nil, err
	}
	_ = file.Close() // it was opened to see that it can be
	s, err := snap.Read(zap.NewNop(), path)
	if err != nil {
		return nil, err
	}
	m := s.GetMetadata()
	found := &snapFile{Name: name, Index: m.GetIndex(), Term: m.GetTerm(), Conf: confOf(m.GetConfState())}
	if err := found.readStore(s.GetData()); err != nil {
		found.Store = word(err.Error())
	}
	return found, nil
}

// readStore reads the content with etcd's own code, which panics on what it does not expect.
func (s *snapFile) readStore(data []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	store := v2store.New("/0", "/1") // as etcd has it: of the cluster, of the users
	if err := store.Recovery(data); err != nil {
		return err
	}
	only, err := membership.IsMetaStoreOnly(store)
	if err != nil {
		return err
	}
	s.Custom = !only
	members, removed := membership.MembersFromStore(zap.NewNop(), store)
	for _, m := range members {
		s.Members = append(s.Members, Member{uint64(m.ID), m.Name, m.PeerURLs, m.ClientURLs, m.IsLearner})
	}
	for id := range removed {
		s.Removed = append(s.Removed, uint64(id))
	}
	sortMembers(s.Members)
	slices.Sort(s.Removed)
	return nil
}

// idText is how etcd writes a member's id.
func idText(id uint64) string { return types.ID(id).String() }
