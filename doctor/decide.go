package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/restore/runbook"
)

// Decide says what state the cluster is in, what to do about it, and what else should be known. It depends on nothing but what it is
// given.
func Decide(f Facts, t Tools) Decision {
	d := &decider{Facts: f, Tools: t}
	d.untried = f.Etcd == nil || len(f.Etcd.Answered) == 0
	d.count()
	d.choose()
	d.Backup = d.backup()
	d.findings()
	for i := range d.Options {
		for j := range d.Options[i].Steps {
			s := &d.Options[i].Steps[j]
			s.On, s.Commands = append([]string{}, s.On...), append([]string{}, s.Commands...) // [] in JSON
		}
	}
	return d.Decision
}

// decider is one decision in the making.
type decider struct {
	Facts
	Tools
	Decision
	lost []Member // voters that have to come back or be replaced
	bad  []uint64 // members whose data cannot be trusted
}

// count tells voters from those who only listen, and who of them serves. A learner has no vote, whatever it answers.
func (d *decider) count() {
	d.Decision.Members = d.Facts.Members
	d.bad = d.differing()
	if d.Etcd != nil {
		for _, a := range d.Etcd.Alarms {
			if a.Kind == alarmCorrupt && a.MemberID != 0 && !slices.Contains(d.bad, a.MemberID) {
				d.bad = append(d.bad, a.MemberID)
			}
		}
	}
	for _, m := range d.Facts.Members {
		if m.Learner {
			continue
		}
		d.Voters++
		if m.State == Up {
			d.Serving++
		}
		if m.State != Up || slices.Contains(d.bad, m.ID) {
			d.lost = append(d.lost, m)
		}
	}
	d.Needed = quorum(d.Voters)
}

// choose finds the verdict, its sentence and what can be done.
func (d *decider) choose() {
	switch {
	case d.Etcd == nil:
		d.unasked()
	case d.Etcd.Err != nil || len(d.Etcd.Answered) == 0 && d.denied():
		d.shutOut()
	case len(d.Etcd.Answered) == 0:
		d.allDown()
	case d.Etcd.Quorum && len(d.lost) == 0:
		d.whole()
	case d.Etcd.Quorum:
		d.membersDown()
	case d.Serving >= d.Needed:
		d.stuck()
	default:
		d.quorumLost()
	}
}

// denied tells whether something answered somewhere that does not serve us. Whoever is shut out sees nothing, and decides nothing.
func (d *decider) denied() bool {
	for _, f := range d.Etcd.Failed {
		if !f.Absent {
			return true
		}
	}
	return false
}

func (d *decider) unasked() {
	d.Verdict = Unknown
	d.Sentence = "no endpoint was given, so nothing is known of the cluster: give --endpoints before anything is decided"
	d.Options = d.recoveries()
}

func (d *decider) shutOut() {
	d.Verdict = Unknown
	d.Sentence = "etcd is there and does not serve this machine, so nothing is known of the cluster: do not restore; mend the access first"
	var reasons []string
	for _, f := range d.Etcd.Failed {
		if why := strings.TrimSuffix(f.Err.Error()+": "+f.Hint, ": "); !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
	}
	if len(reasons) == 0 && d.Etcd.Err != nil {
		reasons = append(reasons, d.Etcd.Err.Error())
	}
	d.Options = []Option{{
		Code: "look", Title: "Mend the access, and look again", Loses: "nothing",
		Steps: []runbook.Step{{Title: "Mend what keeps etcd from answering", Until: strings.Join(reasons, "; ") + "."}},
	}}
}

func (d *decider) whole() {
	d.Verdict = Whole
	serve := d.all("serve", "serves")
	d.Sentence = serve + ": there is nothing to restore"
	switch e := d.newest(); {
	case e == nil:
	case d.foreign(uint64(e.Lineage.EtcdClusterID)):
		d.Sentence = serve + ", and the newest backup is of another cluster: there is nothing to restore if that is meant to be so, as after a restore; or else what serves is not what was backed up"
	case d.Etcd.Revision < e.Revision:
		d.Sentence = serve + ", and not what the newest backup holds: the cluster was set back or wiped; stop what writes to it, and find out what was done before anything is restored"
	}
}

// all speaks of every voter.
func (d *decider) all(many, one string) string {
	if d.Voters == 1 {
		return "the one voting member " + one
	}
	return fmt.Sprintf("all %d voting members %s", d.Voters, many)
}

func (d *decider) membersDown() {
	d.Verdict = MemberDown
	var whose, advice []string
	for _, m := range d.lost {
		whose = append(whose, m.label()+": "+d.reason(m))
	}
	if d.Serving < d.Needed { // some that do not answer here are alive, or there would be no quorum
		d.Sentence = fmt.Sprintf("quorum holds, although only %d of %d voting members answer here: do not restore, and replace nobody; look from a machine that reaches them all (%s)", d.Serving, d.Voters, strings.Join(whose, "; "))
		d.Options = []Option{d.lookAtUnseen()}
		return
	}
	d.start(d.lost)
	agree := len(d.endpoints()) >= d.Needed // only then is it known whose data is right
	for _, m := range d.lost {
		if m.State == Unstarted {
			d.Options = append(d.Options, d.remove(m))
		}
	}
	for _, m := range d.lost {
		switch {
		case m.State == Unstarted:
		case m.State == Denied, m.State == NotAsked: // it may well be healthy
		case !agree && d.isBad(m):
		default:
			d.Options = append(d.Options, d.replace(m))
		}
	}
	if !agree {
		advice = append(advice, "find out whose data is right before anything is replaced")
		d.Options = append(d.Options, d.compare())
	}
	if len(d.Options) > 0 && d.Options[0].Code == "start" {
		advice = append(advice, "start what only stopped")
	}
	for _, o := range d.Options {
		if o.Code == "replace" {
			advice = append(advice, "replace a member only if its data is lost or wrong")
			break
		}
	}
	if slices.ContainsFunc(d.lost, func(m Member) bool { return m.State == Denied || m.State == NotAsked }) {
		advice = append(advice, "look at the members that could not be seen")
		d.Options = append(d.Options, d.lookAtUnseen())
	}
	if slices.ContainsFunc(d.lost, func(m Member) bool { return m.State == Unstarted }) {
		advice = append(advice, "start or remove the member that was added")
	}
	d.Sentence = fmt.Sprintf("quorum holds with %d of %d voting members, so nothing is lost: do not restore; %s (%s)", d.Serving, d.Voters, strings.Join(advice, ", "), strings.Join(whose, "; "))
}

// reason tells what is wrong with a voter.
func (d *decider) reason(m Member) string {
	switch {
	case m.State == Up && slices.Contains(d.differing(), m.ID):
		return "it serves, and the last cross-check found its data different"
	case m.State == Up:
		return "it serves, and has raised the alarm CORRUPT"
	}
	return m.Reason
}

// compare is for a cluster of whose members too few are known to hold the right data.
func (d *decider) compare() Option {
	return Option{
		Code: "compare", Title: "Compare the members", Loses: "nothing",
		Steps: []runbook.Step{{
			Title: "Take a snapshot of every member, and keep them all",
			Until: "Stop what writes to etcd meanwhile. `lifeboat verify --cross-check` tells which members agree; the backups from before tell who is right.",
		}},
	}
}

func (d *decider) lookAtUnseen() Option {
	var all []string
	for _, m := range d.lost {
		if m.State == Denied || m.State == NotAsked || d.Serving < d.Needed && d.Etcd.Quorum {
			all = append(all, m.label()+": "+m.Reason)
		}
	}
	step := runbook.Step{
		Title: "Find out whether they serve",
		Until: "They may be healthy, and only not be reached from this machine: " + strings.Join(all, "; ") + ".",
	}
	if d.Etcd.Quorum {
		step.Commands = []string{d.etcdctl(d.endpoints(), "member", "list", "-w", "table")}
	}
	return Option{Code: "look", Title: "Look at the members that could not be seen from here", Loses: "nothing", Steps: []runbook.Step{step}}
}

func (d *decider) stuck() {
	d.Verdict = Stuck
	d.Sentence = fmt.Sprintf("%d of %d voting members run, and they do not agree: do not restore, their data is there; find out why they do not reach each other", d.Serving, d.Voters)
	var peers []string
	for _, m := range d.Facts.Members {
		peers = append(peers, m.PeerURLs...)
	}
	d.Options = []Option{{
		Code: "look", Title: "Find out what keeps the members from electing a leader", Loses: "nothing",
		Steps: []runbook.Step{{
			Title: "Look at leader, term and index of every member", Commands: []string{d.etcdctl(d.endpoints(), "endpoint", "status", "-w", "table")},
			Until: "A term that grows without end means that votes do not arrive. One member that is far behind is waited for.",
		}, {
			Title: "On every node, look at what lies between the members", On: d.upNames(),
			Until: "Peer addresses that have to reach each other: " + strings.Join(peers, ", ") + ". Look at the firewall, at the peer certificates (etcd's log says when one has expired), at the clocks, " +
				"and at the disks: a disk that takes longer than a second to sync stops elections. Then restart the members one at a time.",
		}},
	}}
}

func (d *decider) quorumLost() {
	d.Verdict = QuorumLost
	d.Sentence = fmt.Sprintf("quorum is lost: %d of %d voting members answer, and it takes %d; start the others if their data is there, and only if it is gone restore", d.Serving, d.Voters, d.Needed)
	if d.Voters == 0 {
		d.Sentence = "quorum is lost, and who belongs to the cluster is not known; start the members that are stopped, and only if their data is gone restore"
	}
	d.Sentence += d.blind()
	d.Options = d.recoveries()
}

// blind says that no backup is among the options because none could be seen.
func (d *decider) blind() string {
	if d.Backups == nil {
		return "; no backup was seen, so give --sink before anything is restored"
	}
	return ""
}

func (d *decider) allDown() {
	d.Verdict = AllDown
	d.Sentence = "no member answers: start them if their data is there, and only if that is gone on too many nodes restore"
	if d.Voters > 0 {
		d.Sentence = fmt.Sprintf("none of %d voting members answers: start them if their data is there (%d are enough), and only if it is gone restore", d.Voters, d.Needed)
	}
	d.Sentence += d.blind()
	d.Options = d.recoveries()
}
