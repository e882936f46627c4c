package snapshot

import (
	"context"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Views are the members as each endpoint lists them by itself, without asking the others. In a sound cluster they are all the same,
// but for a moment while they change. Endpoints that do not tell are missing.
func (c *Cluster) Views(ctx context.Context) map[string][]Member {
	var (
		mu  sync.Mutex
		wg  sync.WaitGroup
		all = map[string][]Member{}
	)
	for _, l := range c.links {
		wg.Go(func() {
			got, err := c.memberList(ctx, l, false)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			all[l.url] = membersOf(got, nil)
		})
	}
	wg.Wait()
	return all
}

// membersOf is a list of members, with the versions of those who told theirs.
func membersOf(got *pb.MemberListResponse, versions map[uint64]string) []Member {
	var all []Member
	for _, m := range got.GetMembers() {
		all = append(all, Member{
			Name: m.GetName(), ID: m.GetID(), PeerURLs: m.GetPeerURLs(), ClientURLs: m.GetClientURLs(), Learner: m.GetIsLearner(), Version: versions[m.GetID()],
		})
	}
	return all
}
