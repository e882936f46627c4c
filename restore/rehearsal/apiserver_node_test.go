//go:build node

package rehearsal

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
	"github.com/lifeboat-dr/lifeboat/restore"
)

const (
	crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	// boatsOf is a CustomResourceDefinition of one resource, with two versions and some conversion between them.
	boatsOf = `{"metadata":{"name":"%[1]s.sea.example.org"},"spec":{"group":"sea.example.org","scope":"Namespaced","conversion":%[2]s,
	"names":{"plural":"%[1]s","kind":"K%[1]s","listKind":"K%[1]sList"},"versions":[
	{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}},
	{"name":"v2","served":true,"storage":false,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`
)

// kubernetesWithGaps is an etcd with what an API server left there that had an encryption key, a conversion webhook and another
// API server at hand. Secrets are encrypted with the configuration in the file that is answered too.
func kubernetesWithGaps(t *testing.T) (etcd *clientv3.Client, encryption string) {
	t.Helper()
	c := lab.StartCluster(t, lab.ClusterOptions{Members: 1})
	encryption = filepath.Join(lab.Dir(t), "encryption.yaml")
	text := fmt.Sprintf(`{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":[{"resources":["secrets"],
		"providers":[{"aescbc":{"keys":[{"name":"key1","secret":%q}]}},{"identity":{}}]}]}`, base64.StdEncoding.EncodeToString(make([]byte, 32)))
	if err := os.WriteFile(encryption, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := c.APIServer(t, "--encryption-provider-config="+encryption)
	post := func(path, body string) {
		answer, err := a.Do(t.Context(), http.MethodPost, path, strings.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		_ = answer.Close()
	}
	hook := `{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"],"clientConfig":{"url":"https://` + unreached(t) + `"}}}`
	post(crds, fmt.Sprintf(boatsOf, "boats", `{"strategy":"None"}`))
	post(crds, fmt.Sprintf(boatsOf, "ferries", hook))
	// Not served where it comes from either: its kind is taken.
	post(crds, strings.ReplaceAll(fmt.Sprintf(boatsOf, "rafts", `{"strategy":"None"}`), "Krafts", "Kboats"))
	for _, resource := range []string{"boats", "ferries"} {
		path := "/apis/sea.example.org/v1/namespaces/default/" + resource
		for deadline := time.Now().Add(time.Minute); a.Get(t.Context(), path, &json.RawMessage{}) != nil; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s is not served", path)
			}
		}
		post(path, `{"apiVersion":"sea.example.org/v1","kind":"K`+resource+`","metadata":{"name":"one"}}`)
	}
	post("/apis/apiregistration.k8s.io/v1/apiservices", `{"metadata":{"name":"v1.metrics.example.org"},"spec":{"group":"metrics.example.org","version":"v1",
		"insecureSkipTLSVerify":true,"groupPriorityMinimum":100,"versionPriority":100,"service":{"name":"gone","namespace":"default"}}}`)
	post("/api/v1/namespaces/default/secrets", `{"metadata":{"name":"one"}}`)
	post("/api/v1/namespaces/default/configmaps", `{"metadata":{"name":"one"}}`)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	return c.Client(t), encryption
}

// unreached listens where nobody may come: what a cluster talks to that was backed up must not be talked to by its copy.
func unreached(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Errorf("somebody came: %v", conn.RemoteAddr())
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// withAPIServer rehearses a snapshot file with a kube-apiserver on one member.
func withAPIServer(t *testing.T, path string, args ...string) *Report {
	t.Helper()
	o := options(t, path)
	o.Members, o.APIServer, o.APIServerArgs = 1, lab.Tool(t, tools.Kube, "kube-apiserver"), args
	return rehearse(t, o)
}

// said are the details of all checks with a name and a result.
func said(r *Report, name string, result Result) string {
	var all []string
	for _, c := range r.Checks {
		if c.Name == name && c.Result == result {
			all = append(all, c.Detail)
		}
	}
	return strings.Join(all, "\n")
}

func wantSaid(t *testing.T, r *Report, name string, result Result, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if got := said(r, name, result); !strings.Contains(got, text) {
			t.Errorf("%s %s does not say %q but: %s", name, result, text, got)
		}
	}
}

// TestNodeWhatNeedsMoreThanTheBackupIsNotTested tells objects that nobody can read from objects that need a key, a webhook or another
// server; keys that no API reads are told of.
func TestNodeWhatNeedsMoreThanTheBackupIsNotTested(t *testing.T) {
	etcd, encryption := kubernetesWithGaps(t)
	for _, key := range []string{"/registry/podsecuritypolicy/old", "/registry/sea.example.org/rafts/default/a", "/registry/gone.example.org/things/default/a", "/registry/gone.example.org/things/default/b"} {
		if _, err := etcd.Put(t.Context(), key, `{"kind":"Old","apiVersion":"gone/v1"}`); err != nil {
			t.Fatal(err)
		}
	}
	path := lab.SaveSnapshot(t, etcd)
	t.Run("without the key", func(t *testing.T) {
		r := withAPIServer(t, path)
		wantPassed(t, r)
		wantSaid(t, r, CheckAPIServer, Untested, "cannot be ready")
		wantSaid(t, r, CheckObjects, Untested, "secrets: encrypted at rest, and the API server has no key for 1 object", "ferries.sea.example.org: its conversion webhook", "metrics.example.org/v1: another API server")
		wantSaid(t, r, CheckUnread, Untested, "/registry/gone.example.org/things (2 keys), /registry/podsecuritypolicy (1 key), /registry/sea.example.org/rafts (1 key)")
	})
	t.Run("with the key", func(t *testing.T) {
		r := withAPIServer(t, path, "--encryption-provider-config="+encryption)
		wantPassed(t, r)
		wantSaid(t, r, CheckAPIServer, Passed, "is ready")
		if text := said(r, CheckObjects, Untested); strings.Contains(text, "secrets") {
			t.Errorf("not tested: %s", text)
		}
		for _, l := range r.APIServer.Resources {
			if l.Name == "secrets" && (l.Objects != 1 || l.Result != Passed) {
				t.Errorf("%+v", l)
			}
		}
	})
}

// TestNodeAnObjectThatNobodyCanReadFailsByName puts garbage in the place of objects of several sorts, among them those without which an API
// server does not get as far as serving.
func TestNodeAnObjectThatNobodyCanReadFailsByName(t *testing.T) {
	etcd, _ := kubernetesWithGaps(t)
	for key, want := range map[string]string{
		"/registry/sea.example.org/boats/default/x":                      "boats.sea.example.org",
		"/registry/apiextensions.k8s.io/customresourcedefinitions/x.y.z": "customresourcedefinitions.apiextensions.k8s.io",
		"/registry/namespaces/x":                                         "namespaces",
		"/registry/services/specs/default/x":                             "services",
		"/registry/events/default/x":                                     "events",
	} {
		t.Run(want, func(t *testing.T) {
			if _, err := etcd.Put(t.Context(), key, "\x00\x01garbage"); err != nil {
				t.Fatal(err)
			}
			path := lab.SaveSnapshot(t, etcd)
			if _, err := etcd.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			o := options(t, path)
			o.Members, o.APIServer, o.Timeout = 1, lab.Tool(t, tools.Kube, "kube-apiserver"), 2*time.Minute
			r := rehearse(t, o)
			if r.Passed || !strings.Contains(r.Reason, want+":") || !strings.Contains(r.Reason, key) || !strings.HasPrefix(r.Remedy, "etcd comes back whole") {
				t.Errorf("passed is %t: %s", r.Passed, r.Reason)
			}
		})
	}
}

// TestNodeAWrongAPIServerIsAnError refuses what is no kube-apiserver and flags that it does not know or that are not for the user to
// set, before anything is fetched.
func TestNodeAWrongAPIServerIsAnError(t *testing.T) {
	real := lab.Tool(t, tools.Kube, "kube-apiserver")
	for name, o := range map[string]Options{
		"no kube-apiserver":     {APIServer: "/bin/true"},
		"nothing":               {APIServer: "/nonexistent"},
		"no binary":             {APIServerArgs: []string{"--v=2"}},
		"unknown flag":          {APIServer: real, APIServerArgs: []string{"--nonsense"}},
		"unknown feature":       {APIServer: real, APIServerArgs: []string{"--feature-gates=Nonsense=true"}},
		"another etcd's":        {APIServer: real, APIServerArgs: []string{"--etcd-servers=https://10.0.0.5:2379"}},
		"a way out":             {APIServer: real, APIServerArgs: []string{"--egress-selector-config-file=x"}},
		"another etcd's as two": {APIServer: real, APIServerArgs: []string{"--etcd-servers", "https://10.0.0.5:2379"}},
	} {
		var wrong *BinaryError
		if _, err := Run(t.Context(), o, restore.Deps{}); !errors.As(err, &wrong) || !wrong.APIServer {
			t.Errorf("%s: %v", name, err)
		} else {
			t.Log(err)
		}
	}
}

// TestNodeTheAPIServerEndsWithTheRehearsal interrupts while it runs.
func TestNodeTheAPIServerEndsWithTheRehearsal(t *testing.T) {
	etcd, _ := kubernetesWithGaps(t)
	o := options(t, lab.SaveSnapshot(t, etcd))
	// A proxy for the binary tells when and as what it runs.
	pid := filepath.Join(lab.Dir(t), "pid")
	o.APIServer = filepath.Join(filepath.Dir(pid), "kube-apiserver")
	script := fmt.Sprintf("#!/bin/sh\ncase $1 in --version) ;; *) echo $$ >%[1]s.new; mv %[1]s.new %[1]s;; esac\nexec %[2]s \"$@\"\n", pid, lab.Tool(t, tools.Kube, "kube-apiserver"))
	if err := os.WriteFile(o.APIServer, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	o.Members = 1
	cause := errors.New("somebody pressed a key")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(pid); err == nil {
				cancel(cause)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	if r, err := Run(ctx, o, restore.Deps{}); !errors.Is(err, cause) {
		t.Fatalf("%v, %+v", err, r)
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(text))); err == nil {
		t.Errorf("process %s lives", text)
	}
}

// TestNodeWithoutKubernetesNoAPIServerIsStarted says why.
func TestNodeWithoutKubernetesNoAPIServerIsStarted(t *testing.T) {
	etcd := lab.StartCluster(t, lab.ClusterOptions{Members: 1}).Client(t)
	if _, err := etcd.Put(t.Context(), "app/x", "1"); err != nil {
		t.Fatal(err)
	}
	r := withAPIServer(t, lab.SaveSnapshot(t, etcd))
	wantPassed(t, r)
	wantSaid(t, r, CheckAPIServer, Untested, "no Kubernetes")
	if r.APIServer != nil {
		t.Errorf("%+v", r.APIServer)
	}
}
