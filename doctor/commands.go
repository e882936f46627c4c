package doctor

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/shell"
	"github.com/lifeboat-dr/lifeboat/restore"
)

// Tools say how the commands that are printed reach things. Nothing in them is opened.
type Tools struct {
	Etcdctl      []string // flags with which etcdctl is let in, endpoints apart
	PasswordFile string   // of the user among them; "" without one
	Lifeboat     []string // flags of `lifeboat restore` that say where backups are and what opens them
	Identity     bool     // something among them opens backups
	NewDir       string   // absolute; data directories are made under it

	untried bool // no etcd has let anybody in by these flags
}

// certificates stand for those that nobody has named.
const certificates = "--cacert=/PATH/TO/ca.crt --cert=/PATH/TO/client.crt --key=/PATH/TO/client.key"

// etcdctl is a command for some endpoints. The password is read where the command runs: it stands in no list of processes. Where no certificate
// was given, etcd wants one, and has not answered without, the place for it is shown: on the day it is not to be guessed.
func (t Tools) etcdctl(endpoints []string, args ...string) string {
	words := append([]string{"etcdctl"}, t.Etcdctl...)
	secured := slices.ContainsFunc(endpoints, func(e string) bool { return strings.HasPrefix(e, "https://") })
	given := slices.ContainsFunc(t.Etcdctl, func(flag string) bool {
		return strings.HasPrefix(flag, "--cacert=") || strings.HasPrefix(flag, "--cert=")
	})
	if secured && t.untried && !given {
		words = append(words, strings.Fields(certificates)...)
	}
	if len(endpoints) > 0 {
		words = append(words, "--endpoints="+strings.Join(endpoints, ","))
	}
	command := shell.Words(append(words, args...))
	if t.PasswordFile != "" {
		command = `ETCDCTL_PASSWORD="$(cat ` + shell.Words([]string{t.PasswordFile}) + `)" ` + command
	}
	return command
}

func (t Tools) restore(args []string, access bool) string {
	words := append([]string{"lifeboat", "restore"}, args...)
	if access {
		words = append(words, t.Lifeboat...)
	}
	return shell.Words(words)
}

func etcd(flags []string) string { return shell.Words(append([]string{"etcd"}, flags...)) }

// usable tells whether a member's name can stand for it in commands and paths: etcd minds neither what a name is made of nor whether
// another member has the same, and two of one name would each become a cluster of its own.
func (f *Facts) usable(m Member) bool {
	same := 0 // not told apart by id, which a backup does not have
	for _, o := range f.Members {
		if o.Name == m.Name {
			same++
		}
	}
	return same == 1 && restore.IsMemberName(m.Name) && m.Name[0] != '-'
}

// called is the name that a member has in commands: its own, or its id where that does not do.
func (f *Facts) called(m Member) string {
	if f.usable(m) {
		return m.Name
	}
	return hex(m.ID)
}

// dir is where a member's new data directory goes.
func (t Tools) dir(member string) string { return filepath.Join(t.NewDir, member) }

// quoted is a word as awk's program holds it between double quotes.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// endpoints are the addresses of the voters that serve and can be trusted.
func (d *decider) endpoints() []string {
	var all []string
	for _, m := range d.Facts.Members {
		if m.State == Up && !m.Learner && !d.isBad(m) {
			all = append(all, m.Status.URL)
		}
	}
	return all
}

// everywhere are the endpoints of all voters once those are served again that are not now.
func (d *decider) everywhere() []string {
	var all []string
	for _, m := range d.Facts.Members {
		if !m.Learner {
			all = append(all, m.address()...)
		}
	}
	return all
}

// address is where a member is asked: where it answered or, if it does not, where it says.
func (m Member) address() []string {
	if m.Status != nil {
		return []string{m.Status.URL}
	}
	return m.ClientURLs[:min(len(m.ClientURLs), 1)]
}

func (d *decider) isBad(m Member) bool {
	for _, id := range d.bad {
		if id == m.ID {
			return true
		}
	}
	return false
}

func (d *decider) upNames() []string {
	var all []string
	for _, m := range d.Facts.Members {
		if m.State == Up {
			all = append(all, m.label())
		}
	}
	return all
}

// joining are the flags that start a member with an empty directory in a cluster that exists. Etcd compares the list with the
// cluster's: every member has to be in it, learners and those that were never started too.
func (d *decider) joining(who Member) []string {
	var all []restore.Member
	var quota int64
	for _, m := range d.Facts.Members {
		all = append(all, restore.Member{Name: d.called(m), PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs})
		if m.Status != nil {
			quota = max(quota, m.Status.Quota)
		}
	}
	return restore.StartFlags(all, restore.Target{Member: d.called(who), Dir: d.dir(d.called(who))}, "", quota)
}
