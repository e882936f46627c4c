package guard

import (
	"fmt"
	"slices"
)

// A Comparison is what became of a cluster between two states.
type Comparison struct {
	// Lost says why the cluster is not the one of before: another one, an empty one, or an older copy. Waiting mends none of it.
	Lost []string `json:"lost"`
	// Problems are those that it did not have before.
	Problems []Problem `json:"problems"`
	// Remaining are the problems that it had before and still has.
	Remaining []Problem `json:"remaining"`
	// Changes are neither good nor bad: versions, members that came and went.
	Changes []string `json:"changes"`
}

// OK reports whether the cluster is as well as it was.
func (c Comparison) OK() bool { return len(c.Lost)+len(c.Problems) == 0 }

// Text says what is wrong, in one line.
func (c Comparison) Text() string {
	var t string
	for _, s := range append(slices.Clone(c.Lost), details(c.Problems)...) {
		if t != "" {
			t += "; "
		}
		t += s
	}
	return t
}

// Compare holds the state after against the one before. reached is a revision that the cluster is known to have had before, such as that
// of a backup: it counts beside the one of the state.
//
// The etcd cluster id alone tells little: it is made of peer URLs and token, so a wiped cluster that the same script starts again has the
// same. But its revisions, its raft log and its terms begin anew, and none ever goes back in the life of a cluster.
func Compare(before, after State, reached int64) Comparison {
	var c Comparison
	reached = max(reached, before.Revision)
	if after.ClusterID != 0 && before.ClusterID != 0 && after.ClusterID != before.ClusterID {
		c.Lost = append(c.Lost, fmt.Sprintf("this is another cluster: its id was %s and is %s", before.ClusterID, after.ClusterID))
	}
	if after.Quorum && after.Revision < reached {
		c.Lost = append(c.Lost, fmt.Sprintf("the revision went back from %d to %d: the cluster was emptied, or restored from an older state", reached, after.Revision))
	}
	for _, p := range after.Problems {
		had := slices.ContainsFunc(before.Problems, func(o Problem) bool { return o.Kind == p.Kind && o.Subject == p.Subject })
		if had {
			c.Remaining = append(c.Remaining, p)
		} else {
			c.Problems = append(c.Problems, p)
		}
	}
	settled := after.Quorum && len(c.Problems) == 0 // one that is still starting may not know yet what is committed
	switch {
	case !settled:
	case after.RaftIndex < before.RaftIndex:
		c.Lost = append(c.Lost, fmt.Sprintf("the raft log went back from index %d to %d: the data directories are not those of before", before.RaftIndex, after.RaftIndex))
	case after.RaftTerm < before.RaftTerm: // all else may have been written again
		c.Lost = append(c.Lost, fmt.Sprintf("the raft term went back from %d to %d: the data directories are not those of before", before.RaftTerm, after.RaftTerm))
	}
	c.Changes = changes(before.Members, after.Members)
	return c
}

// changes tells what became of each member. A member that was removed and added again has another id under the same name.
func changes(before, after []Member) (all []string) {
	find := func(in []Member, m Member) (Member, bool) {
		i := slices.IndexFunc(in, func(o Member) bool { return o.ID == m.ID })
		if i < 0 && m.Name != "" {
			i = slices.IndexFunc(in, func(o Member) bool { return o.Name == m.Name })
		}
		if i < 0 {
			return Member{}, false
		}
		return in[i], true
	}
	if len(after) == 0 { // nobody said who is in it
		return nil
	}
	for _, m := range before {
		now, found := find(after, m)
		switch {
		case !found:
			all = append(all, m.called()+" is no longer a member")
		case now.ID != m.ID:
			all = append(all, fmt.Sprintf("%s was removed and added again: its id was %s and is %s", now.called(), m.ID, now.ID))
		case now.Name != m.Name:
			all = append(all, fmt.Sprintf("%s is called %s", m.called(), now.called()))
		}
		switch {
		case !found || now.Version == m.Version:
		case m.Version != "" && now.Version != "":
			all = append(all, fmt.Sprintf("%s: etcd %s → %s", now.called(), m.Version, now.Version))
		case now.Version != "":
			all = append(all, fmt.Sprintf("%s answers, with etcd %s", now.called(), now.Version))
		}
		if found && m.Learner && !now.Learner {
			all = append(all, now.called()+" votes, and was a learner")
		}
	}
	for _, m := range after {
		if _, found := find(before, m); !found {
			all = append(all, m.called()+" is a new member")
		}
	}
	return append(all, versions(after)...)
}

// versions says so where not all members run the same etcd: an upgrade that is not done.
func versions(members []Member) []string {
	var all []string
	for _, m := range members {
		if m.Version != "" && !slices.Contains(all, m.Version) {
			all = append(all, m.Version)
		}
	}
	if len(all) < 2 {
		return nil
	}
	slices.Sort(all)
	return []string{fmt.Sprintf("the members run different versions of etcd: %v", all)}
}

// called is how a person finds the member.
func (m Member) called() string {
	if m.Name != "" {
		return m.Name
	}
	return "member " + m.ID.String()
}
