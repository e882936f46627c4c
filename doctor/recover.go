package doctor

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/shell"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/restore/runbook"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// recoveries are the ways back where quorum is lost, that which loses least first: starting what is stopped, then whatever holds
// the highest revision.
func (d *decider) recoveries() []Option {
	before := len(d.Options)
	d.start(d.lost)
	first := slices.Clone(d.Options[before:])
	d.Options = d.Options[:before]
	if slices.ContainsFunc(d.lost, func(m Member) bool { return m.State == Denied }) {
		first = append(first, d.lookAtUnseen())
	}
	type way struct {
		cluster  uint64
		revision int64
		Option
	}
	var ways []way
	if m, ok := d.survivor(); ok {
		ways = append(ways, way{d.Etcd.ClusterID, m.Status.Revision, d.fromSurvivor(m)})
	}
	for _, dir := range d.directoriesToUse() {
		ways = append(ways, way{dir.ClusterID, dir.Revision, d.fromDirectory(dir)})
	}
	if b := d.backup(); b != nil {
		ways = append(ways, way{uint64(d.Backups.Newest.Lineage.EtcdClusterID), b.Revision, d.fromBackup(*b)})
	}
	slices.SortStableFunc(ways, func(a, b way) int { return cmp.Compare(b.revision, a.revision) })
	var foreign []Option
	for _, w := range ways {
		if !d.foreign(w.cluster) {
			first = append(first, w.Option)
			continue
		}
		w.Loses = fmt.Sprintf("all that was written since this cluster (%s) began, for it is of another (%s); %s", hex(d.Etcd.ClusterID), hex(w.cluster), w.Loses)
		foreign = append(foreign, w.Option)
	}
	return append(first, foreign...)
}

// survivor is the member that answers, can be trusted, and has the highest revision. A learner is as good as any.
func (d *decider) survivor() (best Member, found bool) {
	for _, m := range d.Facts.Members {
		if m.State == Up && !d.isBad(m) && (!found || m.Status.Revision > best.Status.Revision) {
			best, found = m, true
		}
	}
	return best, found
}

// backup is what is known of the backup that would be restored.
func (d *decider) backup() *Backup {
	if d.Backups == nil || d.Backups.Newest == nil {
		return nil
	}
	e := d.Backups.Newest
	b := &Backup{ID: string(e.ID), Age: d.Now.Sub(e.Started), Revision: e.Revision, Behind: -1}
	if head := d.head(); head > 0 {
		b.Behind = max(0, head-e.Revision)
	}
	return b
}

// behind tells how far the backup is from a revision that is known of the same cluster.
func (d *decider) behind(revision int64) string {
	switch missing := d.head() - revision; {
	case d.head() == 0:
		return ""
	case missing > 0:
		return ", which is " + plural(missing, "revision") + " at least"
	}
	return ""
}

func (d *decider) fromSurvivor(m Member) Option {
	name, at := m.label(), m.address()
	file := filepath.Clean(d.NewDir) + "." + d.called(m) + ".db"
	o := Option{
		Code: "survivor", Title: fmt.Sprintf("Only if the data of too many members is gone: make the cluster anew from what %s holds, at revision %d", name, m.Status.Revision),
		Loses: "only what " + name + " had not yet been sent when quorum was lost",
		Steps: []runbook.Step{d.stopWriters(), {
			Title: "Save what " + name + " holds", Commands: []string{d.etcdctl(at, "snapshot", "save", file)},
			Until: "It is not encrypted: remove it when all is done. Bring it to the same place on every node.",
		}},
	}
	o.Steps = append(o.Steps, d.stopEtcd())
	o.Steps = append(o.Steps, d.fromFile(d.voters(), m.Status.Quota, file)...)
	return o
}

func (d *decider) fromDirectory(dir Directory) Option {
	file := filepath.Clean(d.NewDir) + ".raw.db"
	o := Option{
		Code: "directory", Title: fmt.Sprintf("Only if the data of too many members is gone: make the cluster anew from %s, at revision %d", dir.Path, dir.Revision),
		Loses: "what this member had not yet been sent, and what stood only in its write-ahead log" + d.behind(dir.Revision),
		Steps: []runbook.Step{d.stopWriters(), d.stopEtcd()},
	}
	for _, f := range dir.Findings {
		if f.Severe {
			o.Loses += "; and " + f.Detail
		}
	}
	members := d.voters()
	if members == nil && !d.foreign(dir.ClusterID) { // one was added and never started; the directory may know only those that were
		of := Facts{}
		for _, m := range dir.Members {
			if m.Name != "" {
				of.Members = append(of.Members, Member{Member: snapshot.Member{Name: m.Name, ID: m.ID, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Learner: m.Learner}})
			}
		}
		members = of.voters()
	}
	o.Steps[1].Until += " Better than this, where that etcd still starts on the directory: start it, alone and without quorum, and let doctor look again; " +
		"it then takes the write-ahead log into account. etcd --force-new-cluster on that directory would do so as well, and change the only copy there is: copy it first."
	// Every node makes its member from this one file. Under the path of the directory each has a database of its own.
	o.Steps = append(o.Steps, runbook.Step{
		Title: "Copy the database, here", Commands: []string{shell.Words([]string{"cp", dir.Database, file})},
		Until: "It is not encrypted: remove it when all is done. Bring it to the same place on every node, where sha256sum must print the same as here.",
	})
	o.Steps = append(o.Steps, d.fromFile(members, 0, file, "--raw")...)
	return o
}

// fromFile are the steps that make the members from a file and start them.
func (d *decider) fromFile(members []restore.Member, quota int64, source ...string) []runbook.Step {
	if len(members) == 0 {
		return []runbook.Step{d.nameMembers(source...)}
	}
	var flags [][]string
	var commands []string
	for _, r := range members {
		flags = append(flags, restore.StartFlags(members, restore.Target{Member: r.Name, Dir: d.dir(r.Name)}, "", quota))
		args := append(slices.Clone(source), "--member", r.Name, "--data-dir", d.dir(r.Name), "--initial-cluster", initialCluster(members))
		commands = append(commands, d.restore(args, false))
	}
	return d.makeAndStart(members, commands, flags)
}

func (d *decider) fromBackup(b Backup) Option {
	p := d.Backups.Plan
	o := Option{
		Code: "backup", Title: "Only if nothing better is left: restore the backup " + b.ID,
		Loses: fmt.Sprintf("what was written in the last %s%s", ageText(b.Age), d.behind(b.Revision)),
	}
	if d.head() == 0 {
		o.Loses += "; how many revisions that is, nobody knows who could be asked"
	}
	if p == nil {
		o.Steps = []runbook.Step{d.stopWriters(), {
			Title: "Restore it", Until: fmt.Sprintf("The members it should have are not clear (%v): name them with --initial-cluster NAME=PEER-URL,… to `%s`, which makes every directory and prints the flags.",
				d.Backups.NoPlan, d.restore([]string{b.ID, "--out", d.NewDir}, true)),
		}}
		return o
	}
	var commands []string
	for _, t := range p.Dirs {
		commands = append(commands, d.restore(p.Arguments(t.Member, t.Dir), true))
	}
	stop := d.stopWriters()
	stop.Until += " `" + d.restore([]string{b.ID, "--runbook", "kubeadm"}, true) + "` prints all of this for kubeadm; so for systemd, k3s and talos."
	o.Steps = append(o.Steps, stop, d.stopEtcd())
	o.Steps = append(o.Steps, d.makeAndStart(p.Members, commands, p.EtcdFlags())...)
	if sealed := d.Backups.Newest.Manifest.Sealed; sealed.Encrypted() && !d.Identity {
		o.Steps[2].Until = strings.TrimSpace("It is opened by --identity FILE, or LIFEBOAT_IDENTITY, of one of these recipients: " + strings.Join(sealed.Fingerprints, ", ") + ". " + o.Steps[2].Until)
	}
	return o
}

// nameMembers is for a cluster of whose members nobody knows enough.
func (d *decider) nameMembers(source ...string) runbook.Step {
	return runbook.Step{
		Title: "Restore from it",
		Until: "Who belongs to the cluster is not known: name them with --initial-cluster NAME=PEER-URL,… to `" + d.restore(append(source, "--out", d.NewDir), false) + "`, which makes every directory and prints the flags.",
	}
}

// stopWriters comes before everything else in each way that makes a new cluster.
func (d *decider) stopWriters() runbook.Step {
	return runbook.Step{
		Title: "Stop every API server, and whatever else writes to etcd",
		Until: "On every node. One that is left running writes into the new cluster what it remembers of the old one.",
	}
}

func (d *decider) stopEtcd() runbook.Step {
	return runbook.Step{
		Title: "Stop etcd on every node where it runs, and keep it from starting",
		Until: "The old data directories stay where they are: they are the way back.",
	}
}

// makeAndStart are the steps that every restore ends with, each member on its own node.
func (d *decider) makeAndStart(members []restore.Member, commands []string, flags [][]string) []runbook.Step {
	var steps []runbook.Step
	var endpoints []string
	for i, m := range members {
		steps = append(steps, runbook.Step{Title: "Make the data directory of " + m.Name, On: []string{m.Name}, Commands: []string{commands[i]}})
		for _, f := range flags[i] {
			if urls, ok := strings.CutPrefix(f, "--advertise-client-urls="); ok {
				endpoints = append(endpoints, strings.SplitN(urls, ",", 2)[0])
			}
		}
	}
	if len(steps) > 1 {
		steps[len(steps)-1].Until = "Every one prints the same HashKV."
	}
	for i, m := range members {
		steps = append(steps, runbook.Step{Title: "Start etcd on " + m.Name, On: []string{m.Name}, Commands: []string{etcd(flags[i])}})
	}
	if len(members) > 0 {
		last := &steps[len(steps)-1]
		last.Until = "What else stands in the unit or manifest, certificates above all, stays as it is."
		if len(members) > 1 {
			last.Until = "The first waits for the second. " + last.Until
		}
	}
	return append(steps, runbook.Step{
		Title: "See that every member serves", Commands: []string{d.etcdctl(endpoints, "endpoint", "health"), d.etcdctl(endpoints, "endpoint", "status", "-w", "table")},
		Until: "All are healthy, and one is leader. Then start the API servers, restart whatever watches them, and take a backup: it is suspect until it is accepted, because this is a new cluster.",
	})
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func initialCluster(members []restore.Member) string {
	var all []string
	for _, m := range members {
		for _, u := range m.PeerURLs {
			all = append(all, m.Name+"="+u)
		}
	}
	return strings.Join(all, ",")
}

// ageText spells a duration as coarsely as it matters.
func ageText(d time.Duration) string {
	switch {
	case d < 0:
		return "time (the clocks disagree)"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
