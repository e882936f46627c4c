package restore

import (
	"fmt"
	"slices"
	"strings"
)

// differences tells in sentences what the new cluster will not have in common with the old one.
func (p *Plan) differences() []string {
	s := &p.Source
	all := []string{
		fmt.Sprintf("what was written after revision %d is not in it", s.Revision),
		fmt.Sprintf("it is a new cluster (token %s, id %x): no member of the old one can join it", p.Token, p.ClusterID),
		"its first backup will be suspect, because the cluster id is another: take it, then `lifeboat accept` it",
	}
	all = append(all, memberChanges(s.Members, p.Members)...)
	for _, l := range s.Learners {
		all = append(all, fmt.Sprintf("learner %s is not made: add it again with etcdctl member add --learner", l))
	}
	for _, u := range s.Unstarted {
		all = append(all, fmt.Sprintf("the member at %s, which was added but never started, is not made", u))
	}
	switch {
	case p.Bump > 0:
		all = append(all, fmt.Sprintf("its revision goes on from %d, and all before counts as compacted: whoever watches is told to start over", s.Revision+p.Bump))
	case s.Kubernetes:
		all = append(all, fmt.Sprintf("its revision goes back to %d: a controller that has seen later ones may act on what no longer is, so restart every one", s.Revision))
	}
	if len(s.Alarms) > 0 {
		all = append(all, "alarms are cleared: "+strings.Join(s.Alarms, ", "))
	}
	all = append(all, "leases are kept, and start anew with their whole time to live")
	switch {
	case p.DropAuth:
		all = append(all, "authentication is off")
	case s.AuthEnabled:
		all = append(all, "authentication is on, with the users and passwords of that time")
	}
	if p.dropsVersion() {
		all = append(all, fmt.Sprintf("the mark of storage version %s is removed, so that etcd %s starts on it", s.StorageVersion, p.EtcdVersion))
	}
	return all
}

// memberChanges compares the members by name and by peer URLs.
func memberChanges(before, after []Member) []string {
	if len(before) == 0 {
		return nil
	}
	var all, gone, come []string
	for _, b := range before {
		if !slices.ContainsFunc(after, func(a Member) bool { return a.Name == b.Name }) {
			gone = append(gone, b.Name)
		}
	}
	for _, a := range after {
		i := slices.IndexFunc(before, func(b Member) bool { return b.Name == a.Name })
		if i < 0 {
			come = append(come, a.Name)
			continue
		}
		if was, is := strings.Join(before[i].PeerURLs, ","), strings.Join(a.PeerURLs, ","); was != is {
			all = append(all, fmt.Sprintf("member %s moves from %s to %s", a.Name, was, is))
		}
	}
	if len(gone)+len(come) > 0 {
		all = append(all, fmt.Sprintf("its members are %s instead of %s", names(after), names(before)))
	}
	return all
}

// notHeld names what no backup of etcd can bring back.
func (p *Plan) notHeld() []string {
	var all []string
	if p.tls() {
		all = append(all, "the certificates and keys of etcd: CA, server and peer of every member")
	}
	if p.Source.Kubernetes {
		all = append(all, "the PKI of Kubernetes: its CAs, and sa.key, without which no service account's token is valid")
	}
	if keys := p.Source.EncryptionKeys; len(keys) > 0 {
		all = append(all, "the EncryptionConfiguration (or KMS) of the API server, without which these are unreadable: values sealed with "+strings.Join(keys, ", "))
	}
	return all
}

// tls reports whether any address is https.
func (p *Plan) tls() bool {
	for _, m := range p.Members {
		for _, u := range slices.Concat(m.PeerURLs, m.ClientURLs) {
			if strings.HasPrefix(u, "https:") {
				return true
			}
		}
	}
	return false
}
