package crosscheck

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// judge says who is right: more than half of those compared, or, where there is no such majority, those who hold what the newest backup of
// another member holds. A member that is named differs; where nobody can be named, all are listed as they are.
func (r *run) judge(ctx context.Context, found *snapshot.Survey) (*Result, error) {
	out := &Result{OK: true, Left: r.left}
	if r.Newest != nil && r.Newest.Lineage.EtcdClusterID != catalog.HexID(found.ClusterID) {
		r.Newest = nil // of another cluster
	}
	right, why, err := r.right(ctx)
	if err != nil {
		return nil, err
	}
	var named []string
	for _, g := range r.groups {
		for _, m := range g.members {
			v := catalog.MemberResult{MemberID: catalog.HexID(m.MemberID), Name: m.Name, OK: true, Detail: "equal to the others"}
			switch {
			case len(r.groups) == 1:
			case right == nil:
				v.Detail = "differs from " + r.others(g) + "; which of them is right cannot be told"
			case g == right:
				v.Detail = "equal to " + why
			default:
				v.OK, v.Detail = false, "differs from "+why
				named = append(named, m.Name)
			}
			out.Members = append(out.Members, v)
		}
	}
	for id, how := range r.broken {
		named = append(named, r.names[id])
		out.Members = append(out.Members, catalog.MemberResult{MemberID: catalog.HexID(id), Name: r.names[id], Detail: "its snapshot is damaged: " + how})
	}
	slices.Sort(named)
	switch {
	case len(named) > 0:
		out.OK, out.Detail = false, fmt.Sprintf("%s differs from %s", strings.Join(named, ", "), orOthers(why))
	case len(r.groups) > 1:
		out.OK, out.Detail = false, "they differ, and which of them is right cannot be told: "+r.sides()
	default:
		out.Detail = fmt.Sprintf("%d members are equal: %s", r.compared(), r.sides())
	}
	r.carry(out, found)
	if len(r.left) > 0 {
		out.Detail += fmt.Sprintf("; %d not compared", len(r.left))
	}
	slices.SortFunc(out.Members, func(a, b catalog.MemberResult) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func orOthers(why string) string {
	if why == "" {
		return "the others"
	}
	return why
}

// right finds the group that is believed, and says why; nil if there is none.
func (r *run) right(ctx context.Context) (*group, string, error) {
	if len(r.groups) == 0 {
		return nil, "", nil
	}
	largest := slices.MaxFunc(r.groups, func(a, b *group) int { return len(a.members) - len(b.members) })
	if len(largest.members)*2 > r.compared() {
		return largest, "the majority: " + namesOf(largest), nil
	}
	g, err := r.asBackedUp(ctx)
	if g == nil || err != nil {
		return nil, "", err
	}
	return g, fmt.Sprintf("%s, which holds what backup %s does", namesOf(g), r.Newest.ID), nil
}

// asBackedUp finds the only group that holds what the newest backup holds. That a member holds what was saved from itself proves nothing.
func (r *run) asBackedUp(ctx context.Context) (*group, error) {
	if r.Newest == nil {
		return nil, nil
	}
	want := r.Newest.HashKV
	at := snapshot.HashPoint{Revision: want.Revision, CompactRevision: want.CompactRevision}
	var equal []*group
	for _, g := range r.groups {
		at.CompactRevision = max(at.CompactRevision, g.first.info.CompactRevision)
		if g.first.info.Revision < at.Revision || at.CompactRevision != want.CompactRevision {
			return nil, nil // compacted since, so the backup's hash is of something that is no longer there
		}
		got, err := hashAt(ctx, g.first, at)
		if err != nil {
			return nil, err
		}
		if got == want.Hash {
			equal = append(equal, g)
		}
	}
	if len(equal) != 1 || slices.ContainsFunc(equal[0].members, func(m snapshot.Endpoint) bool { return catalog.HexID(m.MemberID) == r.Newest.Source.MemberID }) {
		return nil, nil
	}
	return equal[0], nil
}

// carry keeps in mind who was found different before and was not compared now.
func (r *run) carry(out *Result, found *snapshot.Survey) {
	if r.Before == nil {
		return
	}
	for _, m := range r.Before.Members {
		seen := slices.ContainsFunc(out.Members, func(o catalog.MemberResult) bool { return o.MemberID == m.MemberID })
		there := slices.ContainsFunc(found.Members, func(o snapshot.Member) bool { return catalog.HexID(o.ID) == m.MemberID })
		if m.OK || seen || !there {
			continue
		}
		const since = "found different at "
		if !strings.HasPrefix(m.Detail, since) {
			m.Detail = since + r.Before.Time.Format(time.RFC3339) + ", and not compared since"
		}
		out.OK = false
		out.Members = append(out.Members, m)
		out.Detail += "; " + m.Name + " was " + m.Detail
	}
}

func (r *run) others(than *group) string {
	var all []string
	for _, g := range r.groups {
		if g != than {
			all = append(all, namesOf(g))
		}
	}
	return strings.Join(all, ", ")
}

// sides names the members, those with equal data together.
func (r *run) sides() string {
	var all []string
	for _, g := range r.groups {
		all = append(all, namesOf(g))
	}
	return strings.Join(all, " against ")
}

func namesOf(g *group) string {
	var all []string
	for _, m := range g.members {
		all = append(all, m.Name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
