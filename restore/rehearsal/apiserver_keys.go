package rehearsal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
	"github.com/lifeboat-dr/lifeboat/internal/throwaway"
)

const (
	// registry is where Kubernetes keeps its objects.
	registry = "/registry/"
	// keysAtATime is how many keys are read in one request.
	keysAtATime = 10_000
)

// bookkeeping is what the API server keeps below registry that is no object.
var bookkeeping = []string{"ranges", "masterleases", "peerserverleases", "health"}

// keyset is every key below a prefix at a revision, with the revision of its newest change, which Kubernetes shows as the object's
// resourceVersion.
type keyset struct {
	revision int64
	keys     []string // sorted
	changed  map[string]int64
	at       map[int64][]string // the other way round: more than one where a transaction wrote several
}

// keysBelow reads them from one member, in pages and without values.
func keysBelow(ctx context.Context, n *throwaway.Node, prefix string) (keyset, error) {
	s := keyset{changed: map[string]int64{}, at: map[int64][]string{}}
	end := clientv3.GetPrefixRangeEnd(prefix)
	for from := prefix; ; {
		resp, err := keysFrom(ctx, n, from, end, s.revision)
		if err != nil {
			return s, failed("member %s: read the keys below %s: %v", n.Name, prefix, err)
		}
		if s.revision == 0 {
			s.revision = resp.Header.Revision
		}
		for _, kv := range resp.Kvs {
			key := string(kv.Key)
			s.keys = append(s.keys, key)
			s.changed[key] = kv.ModRevision
			s.at[kv.ModRevision] = append(s.at[kv.ModRevision], key)
		}
		if !resp.More {
			return s, nil
		}
		from = s.keys[len(s.keys)-1] + "\x00"
	}
}

func keysFrom(ctx context.Context, n *throwaway.Node, from, end string, rev int64) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	return n.Client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithRev(rev), clientv3.WithLimit(keysAtATime), clientv3.WithKeysOnly())
}

// find answers the key of an object that was last changed at a revision: its key ends with its name. "" if there is none.
func (s keyset) find(revision int64, name string) string {
	for _, key := range s.at[revision] {
		if strings.HasSuffix(key, "/"+name) {
			return key
		}
	}
	return ""
}

// folders are where the objects of a resource may lie. Those that were there before there were groups, and everything that is built
// in, have no group in their keys, and some an older name.
func folders(r apiserver.Resource) []string {
	own := registry + r.Group + "/" + r.Name
	if strings.Contains(r.Group, ".") && !strings.HasSuffix(r.Group, ".k8s.io") {
		return []string{own}
	}
	older := map[string]string{
		"nodes": "minions", "services": "services/specs", "endpoints": "services/endpoints",
		"replicationcontrollers": "controllers", "ingresses": "ingress", "podsecuritypolicies": "podsecuritypolicy",
	}
	if name, ok := older[r.Name]; ok {
		return []string{registry + name, own}
	}
	return []string{registry + r.Name, own}
}

// parents are the folders above a key, the nearest first, down to the first below registry.
func parents(key string) (all []string) {
	for {
		cut := strings.LastIndexByte(key, '/')
		if cut < len(registry) {
			return all
		}
		key = key[:cut]
		all = append(all, key)
	}
}

// foldersOf counts keys by folder.
type foldersOf map[string]int

func (f foldersOf) empty() bool { return len(f) == 0 }

// add counts a key under its first folder, or the first two where that is the name of a group.
func (f foldersOf) add(key string) {
	all := parents(key)
	switch n := len(all); {
	case n == 0:
		f[key]++
	case n > 1 && strings.Contains(strings.TrimPrefix(all[n-1], registry), "."):
		f[all[n-2]]++
	default:
		f[all[n-1]]++
	}
}

func (f foldersOf) String() string {
	var all []string
	for _, folder := range slices.Sorted(maps.Keys(f)) {
		all = append(all, fmt.Sprintf("%s (%s)", folder, countOf(f[folder], "key")))
	}
	return strings.Join(abbreviate(all), ", ")
}
