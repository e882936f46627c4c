package datadir

import (
	"fmt"
	"slices"
	"strings"
)

// judgeMembers compares who the members are: as the database has them, and as raft has them by its snapshots and its log, which is what
// etcd 3.5 and older go by.
func (c *contents) judgeMembers() {
	if c.db == nil || c.info == nil || c.log == nil {
		return
	}
	if slices.Contains(c.db.Removed, c.log.MemberID) {
		c.severe(SelfRemoved, "it cannot serve again: add a new member, which starts on an empty directory",
			"the member itself (%s) was removed from the cluster: etcd ends as soon as it is started on it", idText(c.log.MemberID))
	}
	c.judgeTwice()
	// Etcd 3.4 writes the members at once and the index later: what is true at either of the two is true.
	views := []*roster{c.log.rosterAt(c.info.ConsistentIndex), c.log.rosterAt(c.log.Last)}
	if views[0] == nil || views[1] == nil {
		return
	}
	everywhere := func(is func(*roster) bool) bool { return is(views[0]) && is(views[1]) }
	c.judgeZombies(everywhere)
	c.judgeMissing(views, everywhere)
	c.judgeLearners(everywhere)
}

func (c *contents) judgeTwice() {
	var both []string
	for _, m := range c.db.Members {
		if slices.Contains(c.db.Removed, m.ID) {
			both = append(both, m.text())
		}
	}
	if len(both) > 0 {
		c.severe(ZombieMembers, zombieAdvice, "members that are listed and removed at once: %s", strings.Join(both, ", "))
	}
}

const zombieAdvice = "do not upgrade this cluster to 3.6 before they are gone: let every member run etcd 3.5.26 or later first, which removes them when it starts, or restore from a backup, which makes the members anew"

// judgeZombies looks for members in the database that raft knows nothing of.
func (c *contents) judgeZombies(everywhere func(func(*roster) bool) bool) {
	var zombies []string
	for _, m := range c.db.Members {
		unknown := everywhere(func(r *roster) bool {
			_, is := r.seats[m.ID]
			return !is
		})
		if unknown {
			zombies = append(zombies, m.text())
		}
	}
	if len(zombies) > 0 {
		c.severe(ZombieMembers, zombieAdvice,
			"members in the database that raft knows nothing of: %s. An old `etcdctl snapshot restore` leaves them; etcd 3.6 takes them for members, and for voters",
			strings.Join(zombies, ", "))
	}
}

// judgeMissing looks for members of raft that the database does not have. A change that etcd refused (a second learner) looks like
// one: raft's own list in the database, where there is one, has to agree.
func (c *contents) judgeMissing(views []*roster, everywhere func(func(*roster) bool) bool) {
	var missing []string
	for id := range views[0].seats {
		listed := slices.ContainsFunc(c.db.Members, func(m Member) bool { return m.ID == id })
		seated := everywhere(func(r *roster) bool {
			_, is := r.seats[id]
			return is
		})
		agrees := c.db.Conf == nil || slices.Contains(c.db.Conf.Voters, id) || slices.Contains(c.db.Conf.Learners, id)
		if !listed && seated && agrees {
			missing = append(missing, idText(id))
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		c.severe(ZombieMembers, "do not upgrade this cluster to 3.6: restore from a backup, which makes the members anew",
			"members of raft that the database does not have: %s. Etcd 3.6 goes by the database, and forgets them", strings.Join(missing, ", "))
	}
}

// judgeLearners looks for members that may vote and are learners in the database, or the reverse.
func (c *contents) judgeLearners(everywhere func(func(*roster) bool) bool) {
	for _, m := range c.db.Members {
		differs := everywhere(func(r *roster) bool {
			at, is := r.seats[m.ID]
			return is && at.voter == m.Learner
		})
		if !differs {
			continue
		}
		said, is := "a voter", "a learner"
		if m.Learner {
			said, is = is, said
		}
		c.severe(LearnerVoter, "let every member run etcd 3.5.26 or later before an upgrade to 3.6, which corrects it when it starts, and look again; or restore from a backup, which makes the members anew",
			"member %s is %s in the database and %s in raft: etcd 3.5.1 to 3.5.19 did not write promotions down, and etcd 3.6 goes by the database", m.text(), said, is)
	}
}

// text names a member for a person.
func (m Member) text() string {
	if m.Name == "" {
		return fmt.Sprintf("%s (no name)", idText(m.ID))
	}
	return fmt.Sprintf("%s (%s)", idText(m.ID), word(m.Name))
}
