package doctor

import (
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/shell"
	"github.com/lifeboat-dr/lifeboat/restore/runbook"
)

// start is the option that loses nothing: what is only stopped is started. It is there for members that nothing answers for.
func (d *decider) start(members []Member) {
	var names, down []string
	for _, m := range members {
		if m.State == Down || m.State == NotAsked && d.Verdict != MemberDown {
			names, down = append(names, m.label()), append(down, m.label()+": "+m.Reason)
		}
	}
	switch {
	case len(names) == 0 && len(d.Facts.Members) == 0:
		d.Options = append(d.Options, Option{Code: "start", Title: "Start the members that are stopped", Loses: "nothing", Steps: []runbook.Step{{
			Title: "Start etcd on every node as it is always started there, on the data directory that it has",
			Until: "Who belongs to the cluster could not be seen: is this the right address, and the right network to ask from? etcd's log says why it does not start. Touch no data directory.",
		}}})
		return
	case len(names) == 0:
		return
	}
	title, enough := "Start "+strings.Join(names, ", ")+" again, where it was", ""
	if len(names) > 1 {
		title = "Start " + strings.Join(names, ", ") + " again, where they were"
	}
	if d.Verdict == QuorumLost || d.Verdict == AllDown {
		if enough = fmt.Sprintf(" %d of them are enough.", d.Needed-d.Serving); d.Needed-d.Serving == 1 {
			enough = " One of them is enough."
		}
	}
	if d.Verdict == QuorumLost {
		enough += " Where they turn out to run, the quorum may be among them, and what answers here is what is cut off: then mend the network, and restore nothing."
	}
	if d.Verdict == AllDown {
		enough += " Nothing at all answers: be sure that it is not this machine, or its network, that is cut off."
	}
	steps := []runbook.Step{{
		Title: "Start etcd as it is always started there, on the data directory that it has", On: names,
		Until: "A machine that is off, a full disk, an expired certificate, a manifest that was moved away: mend that, and touch no data directory. " +
			"etcd's log says why it does not start. Now: " + strings.Join(down, "; ") + "." + enough,
	}}
	if all := d.everywhere(); len(all) > 0 {
		steps = append(steps, runbook.Step{
			Title: "See whether every member serves", Commands: []string{d.etcdctl(all, "endpoint", "health")},
			Until: "Those that serve are healthy. If quorum is there again, stop here: nothing is lost.",
		})
	}
	d.Options = append(d.Options, Option{Code: "start", Title: title, Loses: "nothing", Steps: steps})
}

// replace are the steps that put a new member in the place of one whose data is gone or wrong. It is taken out first: a dead member
// that counts makes the quorum larger, and not safer. The new one listens without a vote until it has caught up.
func (d *decider) replace(m Member) Option {
	at, name := d.without(m), m.label()
	o := Option{
		Code: "replace", Title: fmt.Sprintf("Replace %s (%s), if its data is lost", name, hex(m.ID)),
		Loses: "nothing: the others hold everything",
	}
	stop := "See that etcd on " + name + " does not run"
	if d.isBad(m) {
		o.Title = fmt.Sprintf("Replace %s (%s), whose data is not that of the others", name, hex(m.ID))
		stop = "Stop etcd on " + name
	}
	o.Steps = append(o.Steps, runbook.Step{
		Title: stop, On: []string{name}, Until: "It must not start on its old data directory any more. Keep that directory until all is well.",
	})
	peers := strings.Join(m.PeerURLs, ",")
	find := fmt.Sprintf("%s | awk -F ', ' %s", d.etcdctl(at, "member", "list", "-w", "simple"), shell.Words([]string{"$4 == " + quoted(peers) + " { print $1 }"}))
	o.Steps = append(o.Steps, runbook.Step{
		Title: "Take " + name + " out of the cluster", Commands: []string{d.etcdctl(at, "member", "remove", hex(m.ID))},
	}, runbook.Step{
		Title: "Add it again, without a vote", Commands: []string{d.etcdctl(at, "member", "add", d.called(m), "--peer-urls="+peers, "--learner")},
		Until: "Refused because of an unhealthy cluster? Members that were started only seconds ago do not count yet: repeat it. Where kubeadm runs the node, let it do this and the next two steps: kubeadm reset there, then kubeadm join with --control-plane.",
	}, runbook.Step{
		Title: "Start etcd on " + name + " with an empty data directory", On: []string{name}, Commands: []string{etcd(d.joining(m))},
		Until: fmt.Sprintf("%s must not exist yet. What else stands in its unit or manifest, certificates above all, stays as it is. Once it serves, the unit needs these flags too.", d.dir(d.called(m))),
	}, runbook.Step{
		Title: "Give it its vote when it has caught up", Commands: []string{"until " + d.etcdctl(at, "member", "promote") + ` "$(` + find + `)"; do sleep 2; done`},
		Until: "It is refused as long as the member is not in sync with the leader, which takes as long as its database takes to arrive.",
	})
	check := runbook.Step{
		Title: "See that every member serves", Commands: []string{d.etcdctl(append(at, m.address()...), "endpoint", "health"), d.etcdctl(append(at, m.address()...), "endpoint", "status", "-w", "table")},
		Until: "All are healthy, and one is leader.",
	}
	if d.alarmed(alarmCorrupt) {
		check.Commands = append([]string{d.etcdctl(at, "alarm", "disarm")}, check.Commands...)
		check.Title = "Take back the alarm, and see that every member serves"
	}
	o.Steps = append(o.Steps, check)
	return o
}

// without are the endpoints that serve, but for a member's own.
func (d *decider) without(m Member) []string {
	var all []string
	for _, e := range d.endpoints() {
		if m.Status == nil || m.Status.URL != e {
			all = append(all, e)
		}
	}
	return all[:len(all):len(all)]
}

// remove is for a member that was added and never came: it counts for the quorum as if it were down.
func (d *decider) remove(m Member) Option {
	return Option{
		Code: "remove", Title: "Remove the member at " + strings.Join(m.PeerURLs, ", ") + " that was never started, or start it", Loses: "nothing",
		Steps: []runbook.Step{{
			Title: "If nobody is about to start it, remove it", Commands: []string{d.etcdctl(d.endpoints(), "member", "remove", hex(m.ID))},
			Until: "It has a vote, and does not cast it: until it serves, the cluster bears one failure less. Afterwards let doctor look again: the commands below are for a cluster that it belongs to.",
		}},
	}
}
