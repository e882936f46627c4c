//go:build node

package e2e

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

// later is how many changes a cluster sees after its backup. A client knows them, the backup does not.
const later = 150

// TestNodeKubernetesComesBack is the whole of it with a real API server: 2,000 objects of 20 kinds, a CustomResourceDefinition and its
// instances are backed up, everything is destroyed and restored, and a new API server shows the same objects; its clients
// are told that what they believe is the past. Then the same backup is rehearsed, and one with an object in it that nobody can read.
func TestNodeKubernetesComesBack(t *testing.T) {
	source := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true})
	api := source.APIServer(t)
	populate(t, api)
	k, sink := newKeys(t), "file://"+t.TempDir()
	backup := func() (id string) {
		var b struct {
			ID string `json:"id"`
		}
		decode(t, lifeboat(t, append([]string{"backup", "--recipients-file", k.recipients, "--sink", sink, "-o", "json"}, etcdFlags(source)...)...).must(t, 0).stdout, &b)
		return b.ID
	}
	want := objectsOf(t, api)
	if n := want.count("configmaps"); len(want) < len(kinds)*eachKind || n < eachKind {
		t.Fatalf("%d objects, %d configmaps", len(want), n)
	}
	past := revisionOf(t, api)
	id := backup()
	for i := range later {
		post(t, api, "/api/v1/namespaces/default/configmaps", fmt.Sprintf(`{"metadata":{"name":"later-%d"}}`, i))
	}
	future := revisionOf(t, api)
	if err := api.Stop(); err != nil {
		t.Fatal(err)
	}
	damaged := map[string]string{"garbage": "", "removed": ""}
	for name, put := range map[string]string{
		"garbage": "\x00\x01\xffneither JSON nor protobuf",
		// What an old API server has left, in a version that is gone from Kubernetes.
		"removed": `{"apiVersion":"autoscaling/v2beta1","kind":"HorizontalPodAutoscaler","metadata":{"name":"x","namespace":"default"}}`,
	} {
		key := map[string]string{"garbage": "/registry/configmaps/default/x", "removed": "/registry/horizontalpodautoscalers/default/x"}[name]
		etcd := source.Client(t)
		if _, err := etcd.Put(t.Context(), key, put); err != nil {
			t.Fatal(err)
		}
		damaged[name] = backup()
		if _, err := etcd.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	for i := range source.Members() {
		source.Kill(t, i)
	}

	restore := func(t *testing.T, flags ...string) *apiserver.Server {
		r := restored(t, nil, append([]string{
			"restore", id, "--sink", sink, "--identity", k.identity,
			"--out", filepath.Join(t.TempDir(), "out"), "--initial-cluster", newNames(t, 3),
		}, flags...)...)
		return lab.StartAPIServer(t, boot(t, "3.6", r).Endpoints(), pki.Pair{})
	}
	t.Run("restored", func(t *testing.T) {
		api := restore(t)
		got := objectsOf(t, api)
		sameObjects(t, want, got)
		lab.Report(t, "%d objects came back with their name and resourceVersion", len(got))
		for _, resource := range watched() {
			for what, rev := range map[string]int64{"before the backup": past, "after the backup": future} {
				if err := api.Watch(t.Context(), resource, rev, 30*time.Second); !errors.Is(err, apiserver.ErrExpired) {
					t.Errorf("a watch of %s from %d, which is %s, ended with %v, not with 410", resource, rev, what, err)
				}
			}
		}
	})
	t.Run("without the bump clients believe the past", func(t *testing.T) {
		api := restore(t, "--no-bump")
		sameObjects(t, want, objectsOf(t, api))
		seen := watchFor(t, api, watched()[0], future, 10*time.Second, func() {
			post(t, api, "/api/v1/namespaces/default/configmaps", `{"metadata":{"name":"unseen"}}`)
		})
		if seen != "" {
			t.Errorf("the watch was told something: %s", seen)
		}
	})
	t.Run("rehearsed", func(t *testing.T) { rehearsedKubernetes(t, k, sink, id, damaged) })
}

// watched are resources of every sort: of the core, of a group, of a CustomResourceDefinition.
func watched() []apiserver.Resource {
	return []apiserver.Resource{
		{Version: "v1", Name: "configmaps", Namespaced: true},
		{Group: "apps", Version: "v1", Name: "deployments", Namespaced: true},
		{Group: "sea.example.org", Version: "v1", Name: "boats", Namespaced: true},
	}
}

// revisionOf is the newest that a client knows after it has listed.
func revisionOf(t *testing.T, a *apiserver.Server) int64 {
	t.Helper()
	var list struct {
		Metadata struct {
			ResourceVersion int64 `json:"resourceVersion,string"`
		}
	}
	if err := a.Get(t.Context(), "/api/v1/configmaps?limit=1", &list); err != nil {
		t.Fatal(err)
	}
	return list.Metadata.ResourceVersion
}

// watchFor watches from a revision, does something meanwhile, and answers what the watch was told in that time.
func watchFor(t *testing.T, a *apiserver.Server, r apiserver.Resource, revision int64, wait time.Duration, do func()) string {
	t.Helper()
	path := fmt.Sprintf("%s?watch=1&resourceVersion=%d&timeoutSeconds=%d", r.Path("default", ""), revision, int(wait.Seconds()))
	type told struct {
		text []byte
		err  error
	}
	heard := make(chan told, 1)
	body, err := a.Open(t.Context(), path)
	if err != nil {
		return err.Error()
	}
	go func() {
		defer body.Close()
		text, err := io.ReadAll(body)
		heard <- told{text, err}
	}()
	do()
	all := <-heard
	if all.err != nil {
		t.Fatal(all.err)
	}
	return string(all.text)
}

// rehearsedKubernetes has the built binary start a kube-apiserver on a whole backup and on damaged ones.
func rehearsedKubernetes(t *testing.T, k keys, sink, whole string, damaged map[string]string) {
	rehearse := func(t *testing.T, id string, code int) (r rehearsal.Report) {
		out := lifeboat(t, "rehearse", id, "--sink", sink, "--identity", k.identity, "--members", "1", "--no-report", "-o", "json",
			"--apiserver", lab.Tool(t, tools.Kube, "kube-apiserver")).must(t, code)
		decode(t, out.stdout, &r)
		if hint := "etcd comes back whole"; strings.Contains(out.stderr, hint) != (code == 10) {
			t.Errorf("the hint is not right: %s", out.stderr)
		}
		for _, c := range r.Checks {
			t.Logf("%s %s: %s", c.Result, c.Name, c.Detail)
		}
		return r
	}
	t.Run("whole", func(t *testing.T) {
		r := rehearse(t, whole, 0)
		passed := map[string]bool{}
		for _, c := range r.Checks {
			passed[c.Name] = c.Result == rehearsal.Passed
		}
		for _, name := range []string{rehearsal.CheckAPIServer, rehearsal.CheckObjects, rehearsal.CheckUnread, rehearsal.CheckAPIServerWatch} {
			if !passed[name] {
				t.Errorf("%s did not pass", name)
			}
		}
		objects := map[string]int64{}
		for _, l := range r.APIServer.Resources {
			objects[l.Name] = l.Objects
		}
		if r.APIServer.Version != "v1.36.3" || objects["boats.sea.example.org"] != eachKind || objects["pods"] != eachKind {
			t.Errorf("kube-apiserver %s listed %v", r.APIServer.Version, objects)
		}
	})
	for name, want := range map[string][]string{
		"garbage": {"configmaps: cannot be listed", "/registry/configmaps/default/x"},
		"removed": {"horizontalpodautoscalers.autoscaling: cannot be listed", "/registry/horizontalpodautoscalers/default/x", "v2beta1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := rehearse(t, damaged[name], 10)
			for _, text := range want {
				if !strings.Contains(r.Reason, text) {
					t.Errorf("%s is not in the reason: %s", text, r.Reason)
				}
			}
		})
	}
}
