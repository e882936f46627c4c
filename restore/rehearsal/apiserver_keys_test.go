package rehearsal

import (
	"slices"
	"testing"

	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
)

// TestAnObjectIsFoundByRevisionAndName covers a transaction that wrote several keys, which an API server never makes and a copied etcd has.
func TestAnObjectIsFoundByRevisionAndName(t *testing.T) {
	s := &keyset{keys: []objectKey{{key: "/registry/a/x", changed: 7}, {key: "/registry/b/ns/x", changed: 3}, {key: "/registry/b/ns/y", changed: 7}}, byChange: []int32{1, 0, 2}}
	for _, c := range []struct {
		rev        int64
		name, want string
	}{
		{7, "x", "/registry/a/x"},
		{7, "ns/y", "/registry/b/ns/y"},
		{3, "ns/x", "/registry/b/ns/x"},
		{3, "ns/y", ""},
		{7, "z", ""},
		{5, "x", ""},
		{8, "x", ""},
		{0, "x", ""},
	} {
		got := ""
		if k := s.find(c.rev, c.name); k != nil {
			got = k.key
		}
		if got != c.want {
			t.Errorf("%s at %d is %q, want %q", c.name, c.rev, got, c.want)
		}
	}
}

func TestFoldersAreThoseThatKubernetesUses(t *testing.T) {
	for r, want := range map[apiserver.Resource]string{
		{Name: "nodes"}:    "/registry/minions",
		{Name: "services"}: "/registry/services/specs",
		{Group: "networking.k8s.io", Name: "ingresses"}:        "/registry/ingress",
		{Group: "apps", Name: "deployments"}:                   "/registry/deployments",
		{Group: "apiregistration.k8s.io", Name: "apiservices"}: "/registry/apiregistration.k8s.io/apiservices",
		{Group: "serving.knative.dev", Name: "services"}:       "/registry/serving.knative.dev/services",
	} {
		if got := folders(r); !slices.Contains(got, want) {
			t.Errorf("%s lies in %v, not in %s", r, got, want)
		}
	}
	if got := folders(apiserver.Resource{Group: "serving.knative.dev", Name: "services"}); len(got) != 1 {
		t.Errorf("the keys of another resource may lie in %v", got)
	}
}

func TestKeysThatNoAPIReadsAreCountedByFolder(t *testing.T) {
	f := foldersOf{}
	for _, key := range []string{
		"/registry/podsecuritypolicy/a", "/registry/podsecuritypolicy/b", "/registry/gone.example.org/things/ns/x", "/registry/gone.example.org/things/ns/y",
		"/registry/gone.example.org/other/x", "/registry/lonely", "/registry/deployments/ns.with.dots/x",
	} {
		f.add(key)
	}
	want := "/registry/deployments (1 key), /registry/gone.example.org/other (1 key), /registry/gone.example.org/things (2 keys), /registry/lonely (1 key), /registry/podsecuritypolicy (2 keys)"
	if f.String() != want {
		t.Errorf("got %s", f)
	}
}
