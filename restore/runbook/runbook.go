// Package runbook writes down the steps of a restore for one cluster, with its names and addresses: what is stopped where, which command
// makes which member, how to see that it is right, and how to go back. It does none of it.
package runbook

import (
	"fmt"
	"io"
	"strings"
)

// Kinds are the ways to run Kubernetes, or etcd alone, that a runbook can be written for.
func Kinds() []string { return []string{"kubeadm", "systemd", "k3s", "talos"} }

// Facts are what a runbook is about.
type Facts struct {
	Backup   string // id, or a local file's path
	Revision int64  // of the backup
	Bump     int64  // by which members are raised that Lifeboat makes
	Members  []Member
	TLS      bool
	DataDir  string                   // of etcd, where the kind has none of its own
	Restore  map[string]string        // member → the command that makes it, for kubeadm and systemd
	Snapshot func(file string) string // the command that writes the plain snapshot into a file, for k3s and talos
}

// A Member is one member of the cluster to be, and where it is.
type Member struct{ Name, Host, ClientURL string }

// A Book is a runbook.
type Book struct {
	Backup string `json:"backup"`
	Title  string `json:"title"`
	First  string `json:"first"` // what to be sure of before anything else
	Steps  []Step `json:"steps"`
	Back   []Step `json:"back"` // how to go back
}

// A Step is done completely, everywhere it says, before the next.
type Step struct {
	Title    string   `json:"title"`
	On       []string `json:"on"`       // names of members; none is the machine of the person
	Commands []string `json:"commands"` // for a POSIX shell, as root
	Until    string   `json:"until"`    // how to see that it is done, and what to look out for
}

// Write writes the runbook of a kind. It is false for a kind there is none of.
func Write(kind string, f Facts) (Book, bool) {
	b := Book{
		Backup: f.Backup,
		Title:  fmt.Sprintf("restore of %s at revision %d, %s: %s", f.Backup, f.Revision, kind, f.places()),
		First: "If etcd still has quorum, stop here: replace the failed member. What was written after the backup is lost by what follows. " +
			"Every step is done on all the nodes it names before the next begins.",
	}
	switch kind {
	case "kubeadm":
		b.Steps, b.Back = f.kubeadm()
	case "systemd":
		b.Steps, b.Back = f.systemd()
	case "k3s":
		b.Steps, b.Back = f.k3s()
	case "talos":
		b.Steps, b.Back = f.talos()
	default:
		return Book{}, false
	}
	for _, steps := range [][]Step{b.Steps, b.Back} {
		for i, s := range steps {
			steps[i].On, steps[i].Commands = append([]string{}, s.On...), append([]string{}, s.Commands...) // [] in JSON
		}
	}
	return b, true
}

// Print writes a book for people.
func (b Book) Print(w io.Writer) error {
	var t strings.Builder
	fmt.Fprintf(&t, "%s\n%s\n", b.Title, b.First)
	number := func(steps []Step) {
		for i, s := range steps {
			where := ""
			if len(s.On) > 0 {
				where = " (on " + strings.Join(s.On, ", ") + ")"
			}
			fmt.Fprintf(&t, "\n%d. %s%s\n", i+1, s.Title, where)
			for _, c := range s.Commands {
				fmt.Fprintf(&t, "     %s\n", c)
			}
			if s.Until != "" {
				fmt.Fprintf(&t, "   %s\n", s.Until)
			}
		}
	}
	number(b.Steps)
	t.WriteString("\nGoing back\n")
	number(b.Back)
	_, err := io.WriteString(w, t.String())
	return err
}

func (f Facts) places() string {
	var all []string
	for _, m := range f.Members {
		all = append(all, m.Name+" at "+m.Host)
	}
	return strings.Join(all, ", ")
}

func (f Facts) names() []string {
	var all []string
	for _, m := range f.Members {
		all = append(all, m.Name)
	}
	return all
}

func (f Facts) endpoints() string {
	var all []string
	for _, m := range f.Members {
		all = append(all, m.ClientURL)
	}
	return strings.Join(all, ",")
}

// make are the steps in which every member is made on its own node.
func (f Facts) make() []Step {
	var all []Step
	for _, m := range f.Members {
		all = append(all, Step{Title: "Restore member " + m.Name + ", which has to be reached at " + m.Host, On: []string{m.Name}, Commands: []string{f.Restore[m.Name]}})
	}
	last := &all[len(all)-1]
	last.Until = "Where the plan says \"attention\", see to it before etcd starts."
	if len(all) > 1 {
		last.Until = "Every one prints the same HashKV and the same token. " + last.Until
	}
	return all
}

// check asks the new members before any API server does.
func (f Facts) check(ca, cert, key string) Step {
	etcdctl := "etcdctl --endpoints=" + f.endpoints()
	if f.TLS {
		etcdctl += " --cacert=" + ca + " --cert=" + cert + " --key=" + key
	}
	return Step{
		Title: "Look at etcd, before any API server runs", On: []string{f.Members[0].Name},
		Commands: []string{etcdctl + " endpoint health", etcdctl + " endpoint status -w table", etcdctl + " endpoint hashkv"},
		Until:    fmt.Sprintf("Every member is healthy, one is leader, and all show the same hash and a revision of %d or a little more.", f.Revision+f.Bump),
	}
}

// forget makes everything start over that remembers the cluster as it was.
func forget(nodes string, commands ...string) Step {
	return Step{
		Title: "Restart what remembers the past: on every node of the cluster, workers too, " + nodes, Commands: commands,
		Until: "Operators, network plugins and everything else that watches the API server start over as well: " +
			"kubectl rollout restart for each, or restart the nodes one by one.",
	}
}

// adopt takes the first backup of the new cluster.
func adopt() Step {
	return Step{
		Title: "Back up the new cluster as the old one was backed up",
		Until: "That backup is suspect, because it is another etcd cluster: have it accepted with `lifeboat accept ID`. " +
			"Then apply again what was made after the backup, and look for volumes and load balancers that nothing owns any more.",
	}
}
