package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// memberLists compares what the members say of each other. Where they do not agree, the cluster was changed half, or a restore with an
// old etcdctl has left members that were removed long ago.
func (d *decider) memberLists() {
	var first, firstURL string
	for _, e := range d.Etcd.Answered {
		view, told := d.Etcd.Views[e.URL]
		if !told {
			continue
		}
		text := describe(view)
		switch {
		case first == "":
			first, firstURL = text, e.URL
		case text != first:
			d.find("member-lists-differ", Critical, "members that were removed long ago (zombies) come back like this after a restore with an etcdctl older than 3.5.26: upgrade etcd to the newest patch of its minor, then restart the member that differs; change no member before", nil,
				"%s and %s do not list the same members: %s, and %s", firstURL, e.URL, first, text)
		}
	}
	for _, e := range d.Etcd.Answered {
		if len(d.Etcd.Known) > 0 && !slices.ContainsFunc(d.Etcd.Known, func(m snapshot.Member) bool { return m.ID == e.MemberID }) {
			d.find("not-a-member", Critical, "stop it: clients that ask it see what the cluster was", nil, "the member %s answers at %s and does not belong to the cluster any more", hex(e.MemberID), e.URL)
		}
	}
	for _, m := range d.Facts.Members {
		switch {
		case m.State == Up && m.Learner != m.Status.Learner:
			d.find("learner-unclear", Critical, "etcd 3.5.1 to 3.5.19 could lose a promotion over a restart: upgrade to the newest patch of this minor before any member is changed", nil,
				"the member list says of %s that it %s, and it says itself that it %s", m.label(), vote(m.Learner), vote(m.Status.Learner))
		case m.State == Unstarted:
			d.find("unstarted", Warning, "start it, or remove it: it counts for the quorum all the same unless it is a learner", []string{d.etcdctl(d.endpoints(), "member", "remove", hex(m.ID))},
				"the member at %s was added and has never been started", strings.Join(m.PeerURLs, ", "))
		}
	}
}

func vote(learner bool) string {
	if learner {
		return "has no vote"
	}
	return "has a vote"
}

func describe(view []snapshot.Member) string {
	var all []string
	for _, m := range view {
		kind := ""
		if m.Learner {
			kind = ", learner"
		}
		all = append(all, fmt.Sprintf("%s (%s, %s%s)", m.Name, hex(m.ID), strings.Join(m.PeerURLs, " "), kind))
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// learners tells of members without a vote: whether they can have one, or what they wait for.
func (d *decider) learners() {
	var most uint64
	for _, e := range d.Etcd.Answered {
		most = max(most, e.Applied, e.Committed)
	}
	for _, m := range d.Facts.Members {
		if !m.Learner || m.State == Unstarted {
			continue
		}
		at := d.endpoints()
		switch {
		case m.State != Up:
			d.find("learner", Warning, "start it again; if it is not to come, remove it", []string{d.etcdctl(at, "member", "remove", hex(m.ID))},
				"the learner %s does not answer (%s); it has no vote, so the quorum does not need it", m.label(), m.Reason)
		case !d.Etcd.Quorum:
			d.find("learner", Note, "without quorum it cannot be promoted; what it holds can be restored", nil, "%s is a learner: it has no vote, and does not help the quorum", m.label())
		case float64(m.Status.Applied) >= 0.9*float64(most): // etcd's own measure of being in sync
			d.find("learner", Warning, "promote it; until then it does not help if a member fails", []string{d.etcdctl(at, "member", "promote", hex(m.ID))},
				"%s is a learner and in sync: it has no vote yet", m.label())
		default:
			d.find("learner", Note, "wait until it is in sync, then promote it", nil, "%s is a learner and still catching up: it has applied index %d of %d", m.label(), m.Status.Applied, most)
		}
	}
}

// progress looks for members that are behind, or know of no leader.
func (d *decider) progress() {
	var most uint64
	for _, e := range d.Etcd.Answered {
		most = max(most, e.Applied)
	}
	for _, e := range d.Etcd.Answered {
		switch {
		case d.Etcd.Quorum && !e.HasLeader:
			d.find("no-leader", Critical, "look at the network between it and the other members, and at its peer certificate", nil, "%s knows of no leader: it is cut off from the others", orURL(e))
		case d.Etcd.Quorum && !e.Learner && max(most, e.Committed) > e.Applied+lagging:
			d.find("lagging", Warning, "look at its disk and at the network to it; it catches up by itself, or is sent a snapshot", nil,
				"%s is behind: it has applied index %d of %d", orURL(e), e.Applied, max(most, e.Committed))
		}
	}
}

// size tells of clusters that bear less than they could.
func (d *decider) size() {
	switch {
	case len(d.Etcd.Known) == 0:
	case d.Voters == 1:
		d.find("one-member", Note, "three members bear the loss of one; until then the newest backup is all there is besides", nil, "the cluster has one voting member: it bears the loss of none")
	case d.Voters%2 == 0:
		d.find("even-members", Note, "add one, or remove one", nil, "the cluster has %d voting members, and bears the loss of no more than %d would", d.Voters, d.Voters-1)
	}
	if spare := d.Serving - d.Needed; d.Verdict == MemberDown && spare == 0 {
		d.find("no-spare", Warning, "restart and upgrade nothing until it has come back", nil, "not one more member may fail: with the next, quorum is lost")
	}
}
