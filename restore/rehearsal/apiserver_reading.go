package rehearsal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
	"github.com/lifeboat-dr/lifeboat/internal/throwaway"
)

// reading is everything a kube-apiserver could list, held against the keys that were there before it started.
type reading struct {
	server *apiserver.Server
	before *keyset
	found  []apiserver.Resource
	absent []apiserver.Absent
	lists  []*listing
	custom []definition
	remote map[string]bool // GROUP/VERSION that another API server serves

	unread foldersOf
}

// listing is one resource.
type listing struct {
	resource apiserver.Resource
	objects  int64
	changed  int64    // of them, written by the server itself
	folders  []string // where its objects were found
	phantom  string   // an object that no key explains
	err      error
	missing  []string // keys that are there and whose objects were not listed

	unreadable bool // some of them, which are named
	sealed     bool // some of them, and there is no key

	result Result
	detail string
}

// see takes one object of a list.
func (k *reading) see(l *listing, text json.RawMessage) error {
	var object struct {
		Metadata struct{ Namespace, Name, ResourceVersion string }
	}
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	m := object.Metadata
	l.objects++
	name := m.Name
	if m.Namespace != "" {
		name = m.Namespace + "/" + m.Name
	}
	rev, err := strconv.ParseInt(m.ResourceVersion, 10, 64)
	if err != nil {
		return fmt.Errorf("resourceVersion %q of %s is no revision", m.ResourceVersion, name)
	}
	if rev > k.before.revision {
		l.changed++
		return nil
	}
	key := k.before.find(rev, name)
	if key == nil {
		l.phantom = name
		return nil
	}
	key.seen = true
	if folder := strings.TrimSuffix(key.key, "/"+name); !slices.Contains(l.folders, folder) {
		l.folders = append(l.folders, folder)
	}
	return nil
}

// judge finds the keys whose object nobody has shown, and says of each resource whether that is its fault.
func (k *reading) judge(ctx context.Context, n *throwaway.Node) error {
	unseen, err := k.before.unseen(ctx, n)
	if err != nil {
		return err
	}
	owners := map[string][]*listing{} // several where one resource is in two groups, as events are
	for _, l := range k.lists {
		all := append(folders(l.resource), l.folders...)
		slices.Sort(all)
		for _, f := range slices.Compact(all) {
			owners[f] = append(owners[f], l)
		}
	}
	k.unread = foldersOf{}
	for _, key := range unseen {
		k.assign(key, owners)
	}
	for _, l := range k.lists {
		if err := k.decide(ctx, n, l); err != nil {
			return err
		}
	}
	k.absent = slices.DeleteFunc(k.absent, func(a apiserver.Absent) bool {
		if k.remote[a.API] {
			return false
		}
		group, version, _ := strings.Cut(a.API, "/")
		k.lists = append(k.lists, &listing{
			resource: apiserver.Resource{Group: group, Version: version, Name: "*"}, result: Failed, detail: fmt.Sprintf("the API server does not serve %s: %v", a.API, a.Err),
		})
		return true
	})
	for _, d := range k.undiscovered() {
		k.lists = append(k.lists, &listing{
			resource: apiserver.Resource{Group: d.Spec.Group, Name: d.Spec.Names.Plural}, result: Failed,
			detail: "its CustomResourceDefinition is there and the API server does not serve it",
		})
	}
	return nil
}

// assign gives a key that was not shown to the resource it must belong to.
func (k *reading) assign(key string, owners map[string][]*listing) {
	for _, folder := range parents(key) {
		for _, l := range owners[folder] {
			l.missing = append(l.missing, key)
		}
		if owners[folder] != nil {
			return
		}
	}
	for _, d := range k.undiscovered() {
		if strings.HasPrefix(key, registry+d.Spec.Group+"/"+d.Spec.Names.Plural+"/") {
			return // the resource is named anyway
		}
	}
	k.unread.add(key)
}

// decide says how the listing of one resource went.
func (k *reading) decide(ctx context.Context, n *throwaway.Node, l *listing) error {
	switch {
	case l.err == nil && l.phantom != "":
		l.result, l.detail = Failed, "the API server shows "+l.phantom+", which no key in etcd explains"
		return nil
	case l.err == nil && len(l.missing) > 0:
		l.result, l.detail = Failed, fmt.Sprintf("%s not among what is listed: %s", countOf(len(l.missing), "key"), keysText(l.missing))
		return nil
	case l.err == nil:
		return nil
	}
	bad, sealed, why, err := k.probe(ctx, n, l)
	switch {
	case err != nil:
		return err
	case len(bad) > 0:
		l.unreadable = true
		l.result, l.detail = Failed, fmt.Sprintf("cannot be listed, because of %s: %s", keysText(bad), why)
	case sealed > 0:
		l.sealed, l.result = true, Untested
		l.detail = fmt.Sprintf("encrypted at rest, and the API server has no key for %s (give --apiserver-arg=--encryption-provider-config=FILE): %v",
			countOf(sealed, "object"), l.err)
	case k.converted(l):
		l.result, l.detail = Untested, fmt.Sprintf("its conversion webhook is not there: %v", l.err)
	default:
		l.result, l.detail = Failed, fmt.Sprintf("cannot be listed: %v", l.err)
	}
	return nil
}

func keysText(keys []string) string { return strings.Join(abbreviate(keys), ", ") }

// sealed tells whether there are objects that the server lacks the key for.
func (k *reading) sealed() bool {
	return slices.ContainsFunc(k.lists, func(l *listing) bool { return l.sealed })
}

// unreadable tells whether there are objects that can be named because of which a resource cannot be listed.
func (k *reading) unreadable() bool {
	return slices.ContainsFunc(k.lists, func(l *listing) bool { return l.unreadable })
}

// count is how many resources ended so.
func (k *reading) count(result Result) (n int) {
	for _, l := range k.lists {
		if l.result == result {
			n++
		}
	}
	return n
}

func (k *reading) summary() string {
	var objects, changed int64
	resources := 0
	for _, l := range k.lists {
		if l.result == Passed {
			objects += l.objects
			changed += l.changed
			if l.objects > 0 {
				resources++
			}
		}
	}
	text := fmt.Sprintf("%d objects of %d resources, %d of them with name and resourceVersion of a key in the backup", objects, resources, objects-changed)
	if changed > 0 {
		text += fmt.Sprintf(", %d written by the API server when it started", changed)
	}
	return text
}

func (k *reading) resources() []Resource {
	all := []Resource{}
	for _, l := range k.lists {
		all = append(all, Resource{Name: l.resource.String(), Version: l.resource.Version, Objects: l.objects, Result: l.result, Detail: l.detail})
	}
	return all
}
