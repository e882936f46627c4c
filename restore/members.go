package restore

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Member is one member of the cluster to be made. ClientURLs are what it advertises to clients; without any, port 2379 on
// the host of its first peer URL is assumed.
type Member struct {
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peer_urls"`
	ClientURLs []string `json:"client_urls,omitempty"`
}

// memberName is what may be both the name of a folder and an item of --initial-cluster.
var memberName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$`)

// IsMemberName tells whether a restore makes a member of that name. Etcd takes any, also one that leads out of a folder.
func IsMemberName(name string) bool { return memberName.MatchString(name) }

// ParseMembers reads the notation of etcd's --initial-cluster: name=peerURL with commas between, a name once per URL.
func ParseMembers(s string) ([]Member, error) {
	var all []Member
	for _, item := range strings.Split(s, ",") {
		name, peer, ok := strings.Cut(strings.TrimSpace(item), "=")
		if !ok {
			return nil, &UsageError{
				Reason: fmt.Sprintf("member %q is not NAME=PEER-URL", item),
				Advice: "write every member of the new cluster, for example m1=https://10.0.0.5:2380,m2=https://10.0.0.6:2380",
			}
		}
		if i := slices.IndexFunc(all, func(m Member) bool { return m.Name == name }); i >= 0 {
			all[i].PeerURLs = append(all[i].PeerURLs, peer)
		} else {
			all = append(all, Member{Name: name, PeerURLs: []string{peer}})
		}
	}
	return checkMembers(all)
}

// checkMembers returns the members with their URLs in one spelling, so that the same cluster gives the same token and the
// same ids however it was typed. Errors are *UsageError.
func checkMembers(given []Member) ([]Member, error) {
	if len(given) == 0 {
		return nil, &UsageError{
			Reason: "the backup does not say which members its cluster had",
			Advice: "name every member of the new cluster: --initial-cluster m1=https://10.0.0.5:2380,m2=…",
		}
	}
	var (
		all   []Member
		names = map[string]bool{}
		taken = map[string]string{} // URL → whose it is
	)
	for _, m := range given {
		if !memberName.MatchString(m.Name) {
			return nil, &UsageError{
				Reason: fmt.Sprintf("%q cannot be the name of a member", m.Name),
				Advice: "use up to 64 letters, digits, dots, dashes and underscores, not beginning with a dot",
			}
		}
		if names[m.Name] {
			return nil, &UsageError{
				Reason: fmt.Sprintf("two members are named %q", m.Name),
				Advice: "every member needs a name of its own, as in the --name of its etcd",
			}
		}
		names[m.Name] = true
		if len(m.PeerURLs) == 0 {
			return nil, &UsageError{
				Reason: fmt.Sprintf("member %q has no peer URL", m.Name),
				Advice: "give it one: --initial-cluster " + m.Name + "=https://HOST:2380,…",
			}
		}
		clean := Member{Name: m.Name}
		var err error
		if clean.PeerURLs, err = claim(m.PeerURLs, "peer URL", m.Name, taken); err != nil {
			return nil, err
		}
		if clean.ClientURLs, err = claim(m.ClientURLs, "client URL", m.Name, taken); err != nil {
			return nil, err
		}
		all = append(all, clean)
	}
	return all, nil
}

// tidyClients leaves out client URLs that cannot be meant: members have been seen to advertise 0.0.0.0, or all the same
// localhost, without anybody noticing until now.
func tidyClients(members []Member) []Member {
	count := map[string]int{}
	for _, m := range members {
		for _, u := range m.ClientURLs {
			if clean, err := cleanURL(u); err == nil {
				count[clean]++
			}
		}
	}
	var all []Member
	for _, m := range members {
		tidy := Member{Name: m.Name, PeerURLs: m.PeerURLs}
		for _, u := range m.ClientURLs {
			if clean, err := cleanURL(u); err == nil && count[clean] == 1 {
				tidy.ClientURLs = append(tidy.ClientURLs, clean)
			}
		}
		all = append(all, tidy)
	}
	return all
}

// clientsOf finds the client URLs of the same member among others: of the same name, at the same place.
func clientsOf(m Member, others []Member) []string {
	for _, o := range others {
		if o.Name == m.Name && slices.Equal(o.PeerURLs, m.PeerURLs) {
			return o.ClientURLs
		}
	}
	return nil
}

// claim cleans the URLs of one member and takes them, so that no other can have them.
func claim(urls []string, what, member string, taken map[string]string) ([]string, error) {
	var all []string
	for _, raw := range urls {
		u, err := cleanURL(raw)
		if err != nil {
			return nil, &UsageError{
				Reason: fmt.Sprintf("%s %q of member %q: %v", what, raw, member, err),
				Advice: "write it as https://HOST:PORT, as other members reach it",
			}
		}
		if whose, used := taken[u]; used {
			return nil, &UsageError{
				Reason: fmt.Sprintf("%s %s of member %q is already that of %q", what, u, member, whose),
				Advice: "every address belongs to one member only: look for an address that was pasted for every node",
			}
		}
		taken[u] = member
		all = append(all, u)
	}
	return all, nil
}

// cleanURL accepts http and https with a host and a port, and spells it in the one way we write.
func cleanURL(raw string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return "", err
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("neither http nor https")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Path != "" && u.Path != "/"):
		return "", fmt.Errorf("holds more than scheme, host and port")
	case u.Hostname() == "":
		return "", fmt.Errorf("has no host")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return "", fmt.Errorf("has no port between 1 and 65535")
	}
	host := strings.ToLower(u.Hostname())
	if strings.ContainsAny(host, ",= \t") {
		return "", fmt.Errorf("%q is not a host", host)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.IsUnspecified() {
			return "", fmt.Errorf("%s is where a member listens, not where others reach it", host)
		}
		host = ip.String()
	}
	return u.Scheme + "://" + net.JoinHostPort(host, strconv.FormatUint(port, 10)), nil
}

// initialCluster is the value of etcd's --initial-cluster.
func initialCluster(members []Member) string {
	var items []string
	for _, m := range members {
		for _, u := range m.PeerURLs {
			items = append(items, m.Name+"="+u)
		}
	}
	return strings.Join(items, ",")
}
