package rehearsal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
	"github.com/lifeboat-dr/lifeboat/internal/throwaway"
)

const (
	// mostProbed is how many objects of a resource that cannot be listed are asked for one by one: the list fails within a page.
	mostProbed = 1000
	// sealedValue is how a value begins that the API server has encrypted.
	sealedValue = "k8s:enc:"
)

// reading is everything a kube-apiserver could list, held against the keys that were there before it started.
type reading struct {
	server *apiserver.Server
	before keyset
	found  []apiserver.Resource
	absent []apiserver.Absent
	lists  []*listing
	seen   map[string]bool // keys whose object was listed
	custom []definition

	changed int64 // objects that the server itself wrote
	unread  foldersOf
}

// listing is one resource.
type listing struct {
	resource apiserver.Resource
	objects  int64
	folders  []string // where its objects were found
	phantom  string   // an object that no key explains
	err      error
	missing  []string // keys that are there and whose objects were not listed

	result Result
	detail string
}

// definition is a CustomResourceDefinition, as far as it matters here.
type definition struct {
	Spec struct {
		Group      string
		Names      struct{ Plural string }
		Conversion struct{ Strategy string }
		Versions   []struct {
			Name   string
			Served bool
		}
	}
}

func (d definition) served() bool {
	for _, v := range d.Spec.Versions {
		if v.Served {
			return true
		}
	}
	return false
}

func (d definition) String() string { return d.Spec.Names.Plural + "." + d.Spec.Group }

// definitions reads them anew.
func (k *reading) definitions(ctx context.Context) error {
	k.custom = nil
	crds := apiserver.Resource{Group: "apiextensions.k8s.io", Version: "v1", Name: "customresourcedefinitions"}
	return k.server.List(ctx, crds, func(text json.RawMessage) error {
		var d definition
		if err := json.Unmarshal(text, &d); err != nil {
			return err
		}
		k.custom = append(k.custom, d)
		return nil
	})
}

// undiscovered are the resources that a definition should have the server serve, and it does not.
func (k *reading) undiscovered() (all []definition) {
	for _, d := range k.custom {
		there := func(r apiserver.Resource) bool { return r.String() == d.String() }
		if d.served() && !slices.ContainsFunc(k.found, there) {
			all = append(all, d)
		}
	}
	return all
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
		k.changed++
		return nil
	}
	key := k.before.find(rev, name)
	if key == "" {
		l.phantom = name
		return nil
	}
	if k.seen == nil {
		k.seen = map[string]bool{}
	}
	k.seen[key] = true
	if folder := strings.TrimSuffix(key, "/"+name); !slices.Contains(l.folders, folder) {
		l.folders = append(l.folders, folder)
	}
	return nil
}

// judge finds the keys whose object nobody has shown, and says of each resource whether that is its fault.
func (k *reading) judge(ctx context.Context, n *throwaway.Node) error {
	now, err := keysBelow(ctx, n, registry)
	if err != nil {
		return err
	}
	owner := map[string]*listing{}
	for _, l := range k.lists {
		for _, f := range folders(l.resource) {
			owner[f] = l
		}
	}
	for _, l := range k.lists {
		for _, f := range l.folders {
			owner[f] = l
		}
	}
	k.unread = foldersOf{}
	for _, key := range k.before.keys {
		if k.seen[key] || now.changed[key] != k.before.changed[key] || isBookkeeping(key) {
			continue // changed or gone: the server has read it, or a lease has ended
		}
		k.assign(key, owner)
	}
	for _, l := range k.lists {
		if err := k.decide(ctx, n, l); err != nil {
			return err
		}
	}
	for _, d := range k.undiscovered() {
		k.lists = append(k.lists, &listing{
			resource: apiserver.Resource{Group: d.Spec.Group, Name: d.Spec.Names.Plural}, result: Failed,
			detail: "its CustomResourceDefinition is there and the API server does not serve it",
		})
	}
	return nil
}

func isBookkeeping(key string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(key, registry), "/")
	return slices.Contains(bookkeeping, first)
}

// assign gives a key that was not shown to the resource it must belong to.
func (k *reading) assign(key string, owner map[string]*listing) {
	for _, folder := range parents(key) {
		if l := owner[folder]; l != nil {
			l.missing = append(l.missing, key)
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
		l.result, l.detail = Failed, fmt.Sprintf("cannot be listed, because of %s: %s", keysText(bad), why)
	case sealed > 0:
		l.result = Untested
		l.detail = fmt.Sprintf("%s at least encrypted at rest, and the API server has no key (give --apiserver-arg=--encryption-provider-config=FILE): %v", isAre(sealed, "object"), l.err)
	case k.converted(l):
		l.result, l.detail = Untested, fmt.Sprintf("its conversion webhook is not there: %v", l.err)
	default:
		l.result, l.detail = Failed, fmt.Sprintf("cannot be listed: %v", l.err)
	}
	return nil
}

// probe asks one by one for the objects that a failed list did not come to: those that cannot be read are the reason, unless
// they are encrypted.
func (k *reading) probe(ctx context.Context, n *throwaway.Node, l *listing) (bad []string, sealed int, why error, err error) {
	for _, key := range l.missing[:min(len(l.missing), mostProbed)] {
		var object json.RawMessage
		refused := k.server.Get(ctx, l.pathOf(key), &object)
		if ctx.Err() != nil {
			return nil, 0, nil, context.Cause(ctx)
		}
		if refused == nil {
			continue
		}
		encrypted, err := isSealed(ctx, n, key)
		switch {
		case err != nil:
			return nil, 0, nil, err
		case encrypted:
			sealed++
		case k.converted(l) && refused.Error() != "" && strings.Contains(refused.Error(), "webhook"):
		default:
			bad = append(bad, key)
			why = refused
		}
	}
	return bad, sealed, why, nil
}

// pathOf is where the API server has the object of a key.
func (l *listing) pathOf(key string) string {
	parts := strings.Split(key, "/")
	name, namespace := parts[len(parts)-1], parts[len(parts)-2]
	return l.resource.Path(namespace, name)
}

func isSealed(ctx context.Context, n *throwaway.Node, key string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	resp, err := n.Client.Get(ctx, key, clientv3.WithSerializable())
	if err != nil {
		return false, failed("member %s: read %s: %v", n.Name, key, err)
	}
	return len(resp.Kvs) == 1 && bytes.HasPrefix(resp.Kvs[0].Value, []byte(sealedValue)), nil
}

// converted tells whether a webhook has to translate the resource between its versions.
func (k *reading) converted(l *listing) bool {
	return slices.ContainsFunc(k.custom, func(d definition) bool {
		return d.Spec.Conversion.Strategy == "Webhook" && d.String() == l.resource.String()
	})
}

func keysText(keys []string) string { return strings.Join(abbreviate(keys), ", ") }

func isAre(n int, thing string) string {
	if n == 1 {
		return "1 " + thing + " is"
	}
	return countOf(n, thing) + " are"
}

// whole tells whether every resource could be listed in full.
func (k *reading) whole() bool {
	return !slices.ContainsFunc(k.lists, func(l *listing) bool { return l.result != Passed })
}

func (k *reading) failed() (n int) {
	for _, l := range k.lists {
		if l.result == Failed {
			n++
		}
	}
	return n
}

func (k *reading) summary() string {
	var objects int64
	resources := 0
	for _, l := range k.lists {
		if l.result == Passed {
			objects += l.objects
			if l.objects > 0 {
				resources++
			}
		}
	}
	text := fmt.Sprintf("%d objects of %d resources, %d of them with name and resourceVersion of a key in the backup", objects, resources, objects-k.changed)
	if k.changed > 0 {
		text += fmt.Sprintf(", %d written by the API server when it started", k.changed)
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
