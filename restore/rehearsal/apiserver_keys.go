package rehearsal

import (
	"cmp"
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

// keyset is every key below registry at a revision. It is kept small: there may be millions.
type keyset struct {
	revision int64
	keys     []objectKey // by key
	byChange []int32     // places in keys, by changed
}

// objectKey is a key and the revision of its newest change, which Kubernetes shows as the object's resourceVersion.
type objectKey struct {
	key     string
	changed int64
	seen    bool // its object was listed
}

// registryKeys reads them from one member.
func registryKeys(ctx context.Context, n *throwaway.Node) (*keyset, error) {
	s := &keyset{}
	err := eachKey(ctx, n, func(rev int64, key string, changed int64) {
		s.revision = rev
		s.byChange = append(s.byChange, int32(len(s.keys)))
		s.keys = append(s.keys, objectKey{key: key, changed: changed})
	})
	slices.SortFunc(s.byChange, func(a, b int32) int { return cmp.Compare(s.keys[a].changed, s.keys[b].changed) })
	return s, err
}

// eachKey walks the keys below registry as they are at one revision, in pages and without values.
func eachKey(ctx context.Context, n *throwaway.Node, see func(revision int64, key string, changed int64)) error {
	end := clientv3.GetPrefixRangeEnd(registry)
	rev := int64(0)
	for from := registry; ; {
		resp, err := keysFrom(ctx, n, from, end, rev)
		if err != nil {
			return failed("member %s: read the keys below %s: %v", n.Name, registry, err)
		}
		if rev == 0 {
			rev = resp.Header.Revision
		}
		for _, kv := range resp.Kvs {
			see(rev, string(kv.Key), kv.ModRevision)
			from = string(kv.Key) + "\x00"
		}
		if !resp.More {
			return nil
		}
	}
}

func keysFrom(ctx context.Context, n *throwaway.Node, from, end string, rev int64) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	return n.Client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithRev(rev), clientv3.WithLimit(keysAtATime), clientv3.WithKeysOnly())
}

// find answers the key of an object that was last changed at a revision: it ends with the object's name. A transaction may have
// written several.
func (s *keyset) find(revision int64, name string) *objectKey {
	first, _ := slices.BinarySearchFunc(s.byChange, revision, func(at int32, rev int64) int { return cmp.Compare(s.keys[at].changed, rev) })
	for _, at := range s.byChange[first:] {
		k := &s.keys[at]
		switch {
		case k.changed != revision:
			return nil
		case strings.HasSuffix(k.key, "/"+name):
			return k
		}
	}
	return nil
}

// unseen are the keys whose object was not listed and that are still as they were: what the server has changed meanwhile it has read, and
// what is gone was an event or another thing with an end.
func (s *keyset) unseen(ctx context.Context, n *throwaway.Node) (keys []string, err error) {
	open := map[string]int64{}
	for _, k := range s.keys {
		if !k.seen && !isBookkeeping(k.key) {
			open[k.key] = k.changed
		}
	}
	err = eachKey(ctx, n, func(_ int64, key string, changed int64) {
		if before, ok := open[key]; ok && before == changed {
			keys = append(keys, key)
		}
	})
	return keys, err
}

// isBookkeeping tells what the API server keeps below registry that is no object.
func isBookkeeping(key string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(key, registry), "/")
	return slices.Contains([]string{"ranges", "masterleases", "peerserverleases", "health"}, first)
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
