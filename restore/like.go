package restore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/restore/like"
)

// settleLike fills in what nobody has chosen from the file that starts this member, and holds the rest against it. What was
// chosen wins, and a note says so; what the file and the backup's members say of this one must agree.
func (p *Plan) settleLike() error {
	n := p.Like
	if n == nil {
		return nil
	}
	if p.Only == "" {
		if n.Name == "" {
			return &UsageError{Reason: n.File + " does not say how its member is named", Advice: "give --member NAME with it; the members are " + names(p.Members)}
		}
		p.Only = n.Name
	}
	if p.Only != n.Name && n.Name != "" {
		p.attend("--member %s wins over %s, which names this member %s: it will be called that again once its etcd has started", p.Only, n.File, n.Name)
	}
	if err := p.settleLikePlace(); err != nil {
		return err
	}
	i := slices.IndexFunc(p.Members, func(m Member) bool { return m.Name == p.Only })
	if i < 0 {
		return p.refuseName()
	}
	return p.settleLikeURLs(i)
}

// attend adds to what a person has to see to.
func (p *Plan) attend(format string, args ...any) {
	p.Attention = append(p.Attention, fmt.Sprintf(format, args...))
}

// settleLikePlace takes the data directory of the file, unless another place was chosen.
func (p *Plan) settleLikePlace() error {
	n := p.Like
	switch {
	case p.DataDir == "" && p.Out == "" && n.DataDir == "":
		return &UsageError{Reason: n.File + " does not say where its member keeps its data", Advice: "give --data-dir DIR with it"}
	case p.DataDir == "" && p.Out == "":
		p.DataDir = n.DataDir
	case p.DataDir != "" && n.DataDir != "":
		if dir, err := cleanPath(p.DataDir); err == nil && dir != n.DataDir {
			p.attend("--data-dir %s wins over %s, whose etcd looks in %s: change it there, or move the directory there, before it starts", dir, n.File, n.DataDir)
		}
	case n.DataDir != "":
		p.attend("--out wins over %s, whose etcd looks in %s: move the directory there before it starts", n.File, n.DataDir)
	}
	return nil
}

// refuseName tells how to go on where the file's name is none of the members'.
func (p *Plan) refuseName() error {
	n := p.Like
	if p.Only != n.Name {
		return nil // it was given as a flag, which settleMembers judges
	}
	if !p.fromSource {
		return &UsageError{
			Reason: fmt.Sprintf("%s names this member %s, which is none of --initial-cluster", n.File, n.Name),
			Advice: "write it there as " + n.Name + "=PEER-URL, or give --member with one of " + names(p.Members),
		}
	}
	r := &Refusal{
		What:     fmt.Sprintf("%s names this member %s, and %s has the members %s", n.File, n.Name, p.Source.name(), names(p.Members)),
		Safe:     "look whether this is the file and the backup of the same cluster",
		Override: "--initial-cluster with every member of the new cluster, " + n.Name + "=PEER-URL among them, on every node",
	}
	urls := cleaned(n.PeerURLs)
	i := slices.IndexFunc(p.Members, func(m Member) bool { return overlap(m.PeerURLs, urls) })
	switch {
	case i >= 0:
		was := p.Members[i].Name
		r.What = fmt.Sprintf("%s names this member %s, and in %s the member at %s is named %s", n.File, n.Name, p.Source.name(), strings.Join(urls, ","), was)
		r.Safe = "if it was renamed, give on every node --initial-cluster " + initialCluster(p.with(i, Member{Name: n.Name, PeerURLs: urls}))
		r.Override = "--member " + was
	case len(p.Members) == 1 && len(urls) > 0:
		r.Override = "--initial-cluster " + initialCluster([]Member{{Name: n.Name, PeerURLs: urls}})
	}
	return r
}

// settleLikeURLs takes the client URLs of the file, and refuses other peer URLs than the members have.
func (p *Plan) settleLikeURLs(i int) error {
	n, m := p.Like, p.Members[i]
	if clients := cleaned(n.ClientURLs); len(clients) > 0 && !p.takenByOthers(i, clients) {
		members := slices.Clone(p.Members)
		members[i].ClientURLs = clients
		p.Members = members
	}
	urls := cleaned(n.PeerURLs)
	if len(urls) == 0 || same(urls, m.PeerURLs) {
		return nil
	}
	is, file := strings.Join(m.PeerURLs, ","), strings.Join(urls, ",")
	if !p.fromSource {
		p.attend("--initial-cluster wins over %s, which gives %s the peer URL %s instead of %s: change it there before its etcd starts", n.File, m.Name, file, is)
		return nil
	}
	return &Refusal{
		What:     fmt.Sprintf("%s gives member %s the peer URL %s, and in %s it has %s, where the others would look for it", n.File, m.Name, file, p.Source.name(), is),
		Safe:     "look whether this is the file of this node; if the backup's address is right, change it there",
		Override: "on every node --initial-cluster " + initialCluster(p.with(i, Member{Name: m.Name, PeerURLs: urls})),
	}
}

// with are the members with another one in place of the i-th.
func (p *Plan) with(i int, m Member) []Member {
	all := slices.Clone(p.Members)
	all[i] = m
	return all
}

// takenByOthers reports whether another member has one of these addresses: several on one host, and a file copied between them.
func (p *Plan) takenByOthers(i int, urls []string) bool {
	for j, m := range p.Members {
		if j != i && (overlap(m.PeerURLs, urls) || overlap(m.ClientURLs, urls)) || overlap(p.Members[i].PeerURLs, urls) {
			return true
		}
	}
	return false
}

// cleaned leaves out what others could not reach a member at, such as 0.0.0.0.
func cleaned(urls []string) []string {
	var all []string
	for _, u := range urls {
		if clean, err := cleanURL(u); err == nil && !slices.Contains(all, clean) {
			all = append(all, clean)
		}
	}
	return all
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(u string) bool { return slices.Contains(b, u) })
}

func same(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// settleQuota is the file's quota or the source's, unless the database nearly fills it.
func (p *Plan) settleQuota() {
	p.Quota = quota(p.Source.Quota, p.Source.Size)
	n := p.Like
	switch {
	case n == nil:
		if before := cmp.Or(max(p.Source.Quota, 0), defaultQuota); p.Quota > before {
			p.attend("the database nearly fills a quota of %d bytes: start every member with --quota-backend-bytes=%d, or it soon takes no write", before, p.Quota)
		}
	case n.Quota < 0: // no limit, to etcd
		p.Quota = n.Quota
	case n.Quota > 0 && quota(n.Quota, p.Source.Size) == n.Quota:
		p.Quota = n.Quota
	case n.Quota > 0:
		p.Quota = quota(n.Quota, p.Source.Size)
		p.attend("%s sets the quota to %d bytes, which the database nearly fills: set --quota-backend-bytes=%d there, or it soon takes no write", n.File, n.Quota, p.Quota)
	case quota(like.DefaultQuota, p.Source.Size) != like.DefaultQuota:
		p.attend("%s sets no quota, which is %d bytes to etcd, and the database nearly fills it: set --quota-backend-bytes=%d there, or it soon takes no write", n.File, like.DefaultQuota, p.Quota)
	}
}

// whose are the arguments that say whose directory is made on another node, and where. Every node's own file says it best: pasted on a
// wrong node, the command makes that node's member, and not the same one twice.
func (p *Plan) whose(member, dataDir string) []string {
	if p.Like == nil {
		return []string{"--member", member, "--data-dir", dataDir}
	}
	args := []string{"--like", p.Like.File}
	if dataDir != p.Like.DataDir {
		args = append(args, "--data-dir", dataDir)
	}
	return args
}
