//go:build node

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
)

// eachKind is how many objects of a kind are made.
const eachKind = 100

// template is a pod's, for the kinds that have one. There is no scheduler and no kubelet: nothing will run.
const template = `"selector":{"matchLabels":{"app":"x"}},"template":{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"c","image":"i"}]}}`

// kinds are twenty kinds of objects: where they are made and what stands in one beside its metadata.
var kinds = map[string]string{
	"/api/v1/namespaces":                                               ``,
	"/api/v1/persistentvolumes":                                        `,"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"hostPath":{"path":"/x"}}`,
	"/api/v1/namespaces/default/configmaps":                            `,"data":{"colour":"green"}`,
	"/api/v1/namespaces/default/secrets":                               `,"stringData":{"word":"secret"}`,
	"/api/v1/namespaces/default/serviceaccounts":                       ``,
	"/api/v1/namespaces/default/services":                              `,"spec":{"ports":[{"port":80}]}`,
	"/api/v1/namespaces/default/pods":                                  `,"spec":{"containers":[{"name":"c","image":"i"}]}`,
	"/api/v1/namespaces/default/persistentvolumeclaims":                `,"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}`,
	"/apis/apps/v1/namespaces/default/deployments":                     `,"spec":{` + template + `}`,
	"/apis/apps/v1/namespaces/default/statefulsets":                    `,"spec":{"serviceName":"s",` + template + `}`,
	"/apis/apps/v1/namespaces/default/daemonsets":                      `,"spec":{` + template + `}`,
	"/apis/apps/v1/namespaces/default/replicasets":                     `,"spec":{` + template + `}`,
	"/apis/batch/v1/namespaces/default/jobs":                           `,"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}`,
	"/apis/networking.k8s.io/v1/namespaces/default/ingresses":          `,"spec":{"defaultBackend":{"service":{"name":"s","port":{"number":80}}}}`,
	"/apis/networking.k8s.io/v1/namespaces/default/networkpolicies":    `,"spec":{"podSelector":{}}`,
	"/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles":      `,"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]`,
	"/apis/rbac.authorization.k8s.io/v1/clusterroles":                  `,"rules":[{"apiGroups":[""],"resources":["nodes"],"verbs":["get"]}]`,
	"/apis/policy/v1/namespaces/default/poddisruptionbudgets":          `,"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"x"}}}`,
	"/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers": `,"spec":{"maxReplicas":3,"scaleTargetRef":{"kind":"Deployment","name":"d","apiVersion":"apps/v1"}}`,
	"/apis/scheduling.k8s.io/v1/priorityclasses":                       `,"value":10`,
}

// boats is a resource of a CustomResourceDefinition with two versions.
const boats = "/apis/sea.example.org/v1/namespaces/default/boats"

const boatDefinition = `{"metadata":{"name":"boats.sea.example.org"},"spec":{"group":"sea.example.org","scope":"Namespaced",
	"names":{"plural":"boats","singular":"boat","kind":"Boat","listKind":"BoatList"},"versions":[
	{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}},
	{"name":"v1beta1","served":true,"storage":false,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`

// populate makes eachKind objects of every kind, and as many boats.
func populate(t *testing.T, a *apiserver.Server) {
	t.Helper()
	post(t, a, "/api/v1/namespaces/default/serviceaccounts", `{"metadata":{"name":"default"}}`) // pods want it
	post(t, a, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", boatDefinition)
	for deadline := time.Now().Add(time.Minute); a.Get(t.Context(), boats, &json.RawMessage{}) != nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no boats are served")
		}
	}
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(8)
	make100 := func(path, body string) {
		for i := range eachKind {
			g.Go(func() error {
				return create(ctx, a, path, fmt.Sprintf(`{"metadata":{"name":"object-%03d","labels":{"n":"%d"}}%s}`, i, i, body))
			})
		}
	}
	for path, body := range kinds {
		make100(path, body)
	}
	make100(boats, `,"kind":"Boat","apiVersion":"sea.example.org/v1","spec":{"seats":4}`)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func post(t *testing.T, a *apiserver.Server, path, body string) {
	t.Helper()
	if err := create(t.Context(), a, path, body); err != nil {
		t.Fatal(err)
	}
}

func create(ctx context.Context, a *apiserver.Server, path, body string) error {
	answer, err := a.Do(ctx, http.MethodPost, path, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("POST %s: %w", path, err)
	}
	_, err = io.Copy(io.Discard, answer)
	_ = answer.Close()
	return err
}

// objects are all objects of all resources: resource, namespace and name, to resourceVersion.
type objects map[string]string

func objectsOf(t *testing.T, a *apiserver.Server) objects {
	t.Helper()
	resources, absent, err := a.Discover(t.Context())
	if err != nil || len(absent) > 0 {
		t.Fatalf("%v, %v", err, absent)
	}
	all := objects{}
	for _, r := range resources {
		if r.Name == "componentstatuses" { // made up while one asks
			continue
		}
		err := a.List(t.Context(), r, func(text json.RawMessage) error {
			var o struct {
				Metadata struct{ Namespace, Name, ResourceVersion string }
			}
			if err := json.Unmarshal(text, &o); err != nil {
				return err
			}
			all[r.String()+" "+o.Metadata.Namespace+"/"+o.Metadata.Name] = o.Metadata.ResourceVersion
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", r, err)
		}
	}
	return all
}

// count is how many objects of a resource there are.
func (o objects) count(resource string) (n int) {
	for name := range o {
		if strings.HasPrefix(name, resource+" ") {
			n++
		}
	}
	return n
}

// sameObjects compares complete sets. What every API server rewrites for itself, the lease by which it says that it lives, is left out.
func sameObjects(t *testing.T, want, got objects) {
	t.Helper()
	own := "leases.coordination.k8s.io kube-system/apiserver-"
	for name, version := range want {
		if now, ok := got[name]; !strings.HasPrefix(name, own) && (!ok || now != version) {
			t.Errorf("%s had resourceVersion %s and has %q", name, version, now)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok && !strings.HasPrefix(name, own) {
			t.Errorf("%s was not there", name)
		}
	}
}
