package restore

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// etcdFlags are the flags a restored member is started with. Certificates are not among them: only their owner knows where
// they are.
//
// The state is "existing" although the cluster is new. On a restored directory etcd takes no notice of it; but should the directory be
// missing (a forgotten mount, a wrong path), "new" would found an empty cluster under the same token, where "existing"
// makes etcd ask the other members and refuse to start.
func (p *Plan) etcdFlags(t Target) []string {
	return StartFlags(p.Members, t, p.Token, p.Quota)
}

// StartFlags are the flags that start one member of a cluster that exists, on a data directory that was restored or is empty. Without a
// token or a quota they say nothing of it: to join a cluster no token is needed.
func StartFlags(members []Member, t Target, token string, quota int64) []string {
	var m Member
	for _, each := range members {
		if each.Name == t.Member {
			m = each
		}
	}
	clients := clientURLs(members)[m.Name]
	flags := []string{
		"--name=" + m.Name,
		"--data-dir=" + t.Dir,
		"--initial-cluster=" + initialCluster(members),
		"--initial-cluster-token=" + token,
		"--initial-cluster-state=existing",
		"--initial-advertise-peer-urls=" + strings.Join(m.PeerURLs, ","),
		"--listen-peer-urls=" + listenURLs(m.PeerURLs),
		"--advertise-client-urls=" + strings.Join(clients, ","),
		"--listen-client-urls=" + listenURLs(clients),
		"--quota-backend-bytes=" + strconv.FormatInt(quota, 10),
	}
	return slices.DeleteFunc(flags, func(f string) bool {
		return token == "" && strings.HasPrefix(f, "--initial-cluster-token=") || quota == 0 && strings.HasPrefix(f, "--quota-backend-bytes=")
	})
}

// EtcdFlags are those that each directory of a resolved plan is started with, in the order of Dirs, certificates apart.
func (p *Plan) EtcdFlags() [][]string {
	var all [][]string
	for _, t := range p.Dirs {
		all = append(all, p.etcdFlags(t))
	}
	return all
}

// clientURLs are where each member serves clients: what is known or, where nothing is, the host of its first peer URL at port
// 2379. On a host that several members share it is 12379, 22379 and so on for the further ones.
func clientURLs(members []Member) map[string][]string {
	taken := map[string]bool{}
	for _, m := range members {
		for _, u := range slices.Concat(m.PeerURLs, m.ClientURLs) {
			_, place, _ := strings.Cut(u, "://")
			taken[place] = true
		}
	}
	all := map[string][]string{}
	sorted := slices.SortedFunc(slices.Values(members), func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range sorted {
		if all[m.Name] = m.ClientURLs; len(m.ClientURLs) > 0 {
			continue
		}
		peer, err := url.Parse(m.PeerURLs[0])
		if err != nil {
			continue // cannot be: it was checked
		}
		for port := 2379; port < 1<<16; port += 10000 {
			if place := net.JoinHostPort(peer.Hostname(), strconv.Itoa(port)); !taken[place] {
				taken[place] = true
				all[m.Name] = []string{peer.Scheme + "://" + place}
				break
			}
		}
	}
	return all
}

// listenURLs puts an address where a name stands, which etcd does not listen on: every address of the machine.
func listenURLs(advertised []string) string {
	var all []string
	seen := map[string]bool{}
	for _, a := range advertised {
		if u, err := url.Parse(a); err == nil && u.Hostname() != "localhost" {
			if _, err := netip.ParseAddr(u.Hostname()); err != nil {
				a = u.Scheme + "://" + net.JoinHostPort("0.0.0.0", u.Port())
			}
		}
		if !seen[a] {
			seen[a] = true
			all = append(all, a)
		}
	}
	return strings.Join(all, ",")
}

// Arguments are those of `lifeboat restore` that make member's directory with the same token, bump and ids on its own node.
// Where backups are and what opens them is the caller's to add.
func (p *Plan) Arguments(member, dataDir string) []string {
	args := []string{p.Source.ID}
	if p.Source.File != "" {
		args = []string{p.Source.File}
		if p.Source.Raw {
			args = append(args, "--raw")
		}
	}
	args = append(args, p.whose(member, dataDir)...)
	if !p.sameMembers {
		args = append(args, "--initial-cluster", initialCluster(p.Members))
	}
	if p.Attempt > 1 {
		args = append(args, "--attempt", strconv.Itoa(p.Attempt))
	}
	if p.NoBump {
		args = append(args, "--no-bump")
	}
	if p.EtcdVersion != "" {
		args = append(args, "--etcd-version", p.EtcdVersion)
	}
	if p.MaxAge > 0 {
		args = append(args, "--max-age", p.MaxAge.String())
	}
	for _, accept := range []struct {
		flag string
		on   bool
	}{
		{"--accept-unsigned", p.Trust.AcceptUnsigned},
		{"--accept-suspect", p.AcceptSuspect},
		{"--accept-storage-version", p.AcceptStorageVersion},
		{"--ignore-free-space", p.IgnoreFreeSpace},
		{"--ignore-running-etcd", p.IgnoreRunning},
		{"--move-aside", p.MoveAside},
	} {
		if accept.on {
			args = append(args, accept.flag)
		}
	}
	return args
}

// others are the arguments for every member that this run does not make. Their data directories are taken to be where this
// one's is.
func (p *Plan) others() map[string][]string {
	if p.Only == "" {
		return nil
	}
	all := map[string][]string{}
	for _, m := range p.Members {
		if m.Name == p.Only {
			continue
		}
		dir := p.DataDir
		if dir == "" {
			dir = p.Out + "/" + m.Name
		}
		all[m.Name] = p.Arguments(m.Name, dir)
	}
	return all
}

// ageOf spells a duration in the largest unit that fits, for messages.
func ageOf(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}
