package snapshot

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// identify settles which cluster this is. Endpoints of different ones are a mistake in the settings, with one exception, see usurped.
func (c *Cluster) identify(ctx context.Context, s *Survey, answers []*answer) error {
	clusters := map[uint64][]*answer{}
	var order []uint64
	for _, a := range answers {
		if a.err != nil {
			continue
		}
		id := a.status.GetHeader().GetClusterId()
		if clusters[id] == nil {
			order = append(order, id)
		}
		clusters[id] = append(clusters[id], a)
	}
	if len(order) == 0 {
		return nil
	}
	s.ClusterID = order[0]
	if len(order) == 1 {
		return nil
	}
	id, ok := c.usurped(ctx, clusters)
	if !ok {
		first, other := clusters[order[0]][0], clusters[order[1]][0]
		return configError("the endpoints belong to different clusters: %s to %x, %s to %x", first.link.url, order[0], other.link.url, order[1])
	}
	s.ClusterID = id
	for other, all := range clusters {
		if other == id {
			continue
		}
		for _, a := range all {
			a.err = &EndpointError{
				Endpoint: a.link.url, Kind: ErrUnavailable,
				Err:  fmt.Errorf("stands at the address of a member of cluster %x, and belongs to a cluster of its own, %x: it was started without its data", id, other),
				Hint: "stop the etcd at " + a.link.url + " and whatever API server uses it, then replace the member",
			}
			a.read, a.r0 = a.err, 0
		}
	}
	return nil
}

// usurped finds the one cluster which has all the other endpoints among the addresses of its members, while none of the others knows
// anything of it. That is how it looks when a member was started without its data and has founded a cluster of its own at its
// old address: the others go on, and have to be backed up all the more. Members of a cluster before and after a restore claim each other's
// addresses, and nobody could tell which are meant.
func (c *Cluster) usurped(ctx context.Context, clusters map[uint64][]*answer) (id uint64, ok bool) {
	claims := map[uint64][]string{}
	for each, all := range clusters {
		claims[each] = c.addresses(ctx, all)
	}
	claimsAll := func(whose, of uint64) bool {
		return !slices.ContainsFunc(clusters[of], func(a *answer) bool { return !slices.Contains(claims[whose], a.link.url) })
	}
	claimsAny := func(whose, of uint64) bool {
		return slices.ContainsFunc(clusters[of], func(a *answer) bool { return slices.Contains(claims[whose], a.link.url) })
	}
	for _, each := range slices.Sorted(maps.Keys(clusters)) {
		fits := true
		for other := range clusters {
			if other != each && (!claimsAll(each, other) || claimsAny(other, each)) {
				fits = false
			}
		}
		if fits {
			return each, true
		}
	}
	return 0, false
}

// addresses are where the members of a cluster say that they serve clients, by the word of a quorum; none without one.
func (c *Cluster) addresses(ctx context.Context, of []*answer) (all []string) {
	for _, a := range of {
		got, err := c.memberList(ctx, a.link, true)
		if err != nil {
			continue
		}
		for _, m := range got.GetMembers() {
			all = append(all, m.GetClientURLs()...)
		}
		return all
	}
	return nil
}
