//go:build node

package chart

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
)

// A judge is a real kube-apiserver that says what it thinks of objects.
type judge struct {
	*apiserver.Server
	client http.Client
}

func newJudge(t *testing.T) *judge {
	t.Helper()
	api := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1, TLS: true}).APIServer(t)
	authority, err := os.ReadFile(api.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	j := &judge{Server: api, client: http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}}
	t.Cleanup(j.client.CloseIdleConnections)
	for _, d := range objectsIn(t, operatorDefinitions) {
		j.accepts(t, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"+d.Metadata.Name, d.text, false)
	}
	for _, plural := range []string{"servicemonitors", "prometheusrules"} {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			if code, _, _ := j.ask(t, http.MethodGet, "/apis/monitoring.coreos.com/v1/"+plural, ""); code == http.StatusOK {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s are not served", plural)
			}
		}
	}
	return j
}

// namespace makes one in which pods have to be as level says, and where they are warned about if they are not restricted.
func (j *judge) namespace(t *testing.T, name, level string) {
	t.Helper()
	j.accepts(t, "/api/v1/namespaces/"+name, fmt.Sprintf(`{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {
		pod-security.kubernetes.io/enforce: %s, pod-security.kubernetes.io/warn: restricted}}}`, name, level), false)
	j.accepts(t, "/api/v1/namespaces/"+name+"/serviceaccounts/default", "{apiVersion: v1, kind: ServiceAccount, metadata: {name: default}}", false)
}

// ask returns the answer's code, its warnings and what it says.
func (j *judge) ask(t *testing.T, method, path, body string) (code int, warnings []string, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, j.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+j.Token)
	req.Header.Set("Content-Type", "application/apply-patch+yaml")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/yaml")
	}
	resp, err := j.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Values("Warning"), string(answer)
}

// accepts applies an object on the server's side, where unknown fields are errors, and returns the warnings.
func (j *judge) accepts(t *testing.T, path, object string, dry bool) []string {
	t.Helper()
	path += "?fieldManager=lifeboat-test&fieldValidation=Strict"
	if dry {
		path += "&dryRun=All"
	}
	code, warnings, text := j.ask(t, http.MethodPatch, path, object)
	if code/100 != 2 {
		t.Errorf("PATCH %s: %d\n%s\n%s", path, code, text, object)
	}
	return warnings
}

// resources says under which path objects of a kind are.
var resources = map[string]string{
	"ConfigMap": "/api/v1/namespaces/%s/configmaps/", "Secret": "/api/v1/namespaces/%s/secrets/", "Service": "/api/v1/namespaces/%s/services/",
	"ServiceAccount": "/api/v1/namespaces/%s/serviceaccounts/", "Pod": "/api/v1/namespaces/%s/pods/",
	"CronJob": "/apis/batch/v1/namespaces/%s/cronjobs/", "Deployment": "/apis/apps/v1/namespaces/%s/deployments/",
	"NetworkPolicy":  "/apis/networking.k8s.io/v1/namespaces/%s/networkpolicies/",
	"Role":           "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles/",
	"RoleBinding":    "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings/",
	"ServiceMonitor": "/apis/monitoring.coreos.com/v1/namespaces/%s/servicemonitors/",
	"PrometheusRule": "/apis/monitoring.coreos.com/v1/namespaces/%s/prometheusrules/",
}

// TestNodeARealAPIServerAcceptsWhatTheChartRenders applies every object of every variant, and of fifty clusters, with dryRun=All, into a namespace that
// takes only restricted pods; and it admits the pod of every template. Of the variant for control planes it warns, of nothing else.
func TestNodeARealAPIServerAcceptsWhatTheChartRenders(t *testing.T) {
	j := newJudge(t)
	values := variants(t)
	values["fleet"] = fleet(t)
	for name, file := range values {
		t.Run(name, func(t *testing.T) {
			in, level := "lifeboat-"+name, "restricted"
			if name == "control-plane" {
				level = "privileged"
			}
			j.namespace(t, in, level)
			objects := rendered(t, "--values", file, "--namespace", in)
			for _, o := range ofKind(objects, "ServiceAccount") {
				j.accepts(t, fmt.Sprintf(resources["ServiceAccount"], in)+o.Metadata.Name, o.text, false)
			}
			if name == "clusters" { // one account of it is somebody else's
				j.accepts(t, fmt.Sprintf(resources["ServiceAccount"], in)+"my-pruner", "{apiVersion: v1, kind: ServiceAccount, metadata: {name: my-pruner}}", false)
			}
			var warned []string
			kinds := map[string]int{}
			for _, o := range objects {
				path, known := resources[o.Kind]
				if !known || o.Metadata.Namespace != in {
					t.Errorf("%s %s in namespace %q", o.Kind, o.Metadata.Name, o.Metadata.Namespace)
					continue
				}
				kinds[o.Kind]++
				if w := j.accepts(t, fmt.Sprintf(path, in)+o.Metadata.Name, o.text, true); len(w) > 0 {
					warned = append(warned, fmt.Sprintf("%s %s: %v", o.Kind, o.component(), w))
				}
				if pod := podOf(t, o); pod != "" {
					if code, _, text := j.ask(t, http.MethodPost, fmt.Sprintf("/api/v1/namespaces/%s/pods?dryRun=All&fieldValidation=Strict", in), pod); code != http.StatusCreated {
						t.Errorf("a pod of %s: %d\n%s", o.Metadata.Name, code, text)
					}
				}
			}
			if name == "control-plane" {
				if len(warned) != 3 || !slices.ContainsFunc(warned, func(w string) bool { return strings.Contains(w, "hostPath") }) {
					t.Errorf("warnings, of which backup, cross-check and doctor should each have one: %v", warned)
				}
			} else if len(warned) > 0 {
				t.Errorf("warnings: %v", warned)
			}
			if name == "fleet" && kinds["CronJob"] != 5*fleetSize {
				t.Errorf("%d CronJobs for %d clusters", kinds["CronJob"], fleetSize)
			}
			lab.Report(t, "accepted of %s: %v", name, kinds)
		})
	}
}

// podOf is the pod that an object's controller would make, as YAML; empty if it makes none.
func podOf(t *testing.T, o object) string {
	t.Helper()
	if o.Kind != "CronJob" && o.Kind != "Deployment" {
		return ""
	}
	var all map[string]any
	if err := yaml.Unmarshal([]byte(o.text), &all); err != nil {
		t.Fatal(err)
	}
	into := func(m any, keys ...string) any {
		for _, k := range keys {
			m = m.(map[string]any)[k]
		}
		return m
	}
	spec := all["spec"]
	if o.Kind == "CronJob" {
		spec = into(spec, "jobTemplate", "spec")
	}
	pod := into(spec, "template").(map[string]any)
	pod["apiVersion"], pod["kind"] = "v1", "Pod"
	pod["metadata"].(map[string]any)["generateName"] = "x-"
	var text bytes.Buffer
	if err := yaml.NewEncoder(&text).Encode(pod); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestNodeHelmInstallsTheChartAndSaysHowToRestore installs, upgrades and removes a release, and reads what helm prints.
func TestNodeHelmInstallsTheChartAndSaysHowToRestore(t *testing.T) {
	j := newJudge(t)
	j.namespace(t, namespace, "restricted")
	config := filepath.Join(t.TempDir(), "kubeconfig")
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": j.URL, "certificate-authority": j.CAFile}}},
		"users":    []any{map[string]any{"name": "u", "user": map[string]any{"token": j.Token}}},
		"contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "c", "user": "u"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(verb string, args ...string) string {
		t.Helper()
		out, err := helm(t, append([]string{verb, release, "--namespace", namespace, "--kubeconfig", config}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	folder := filepath.Join(repository(t), folder)
	says := func(notes string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(notes, p) {
				t.Errorf("helm does not print %q:\n%s", p, notes)
			}
		}
	}
	says(with("install", folder, "--values", variants(t)["minimal"]),
		"lifeboat restore latest --cluster lifeboat --sink 's3://backups/etcd?region=eu-central-1' --identity backup.key --out",
		"create job --from=cronjob/lifeboat-backup first-backup", "There is no identity here", "There is one recipient", "Backups are not signed", "There is one sink")
	for _, name := range []string{"full", "directory", "service", "clusters", "control-plane"} {
		notes := with("upgrade", folder, "--values", variants(t)[name])
		says(notes, "lifeboat restore latest --cluster ")
		if name == "full" { // two recipients, two sinks, signed
			says(notes, "The identity lies in this cluster")
			if strings.Contains(notes, "There is") || strings.Contains(notes, "not signed") {
				t.Errorf("helm prints of what is not protected:\n%s", notes)
			}
		}
	}
	with("uninstall")
	var left struct{ Items []any }
	if err := j.Get(t.Context(), "/apis/batch/v1/namespaces/"+namespace+"/cronjobs", &left); err != nil || len(left.Items) > 0 {
		t.Errorf("%v, left: %v", err, left.Items)
	}
}

// operatorDefinitions are the Prometheus operator's two resources, with the fields that the chart may use, and no others.
const operatorDefinitions = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {plural: servicemonitors, singular: servicemonitor, kind: ServiceMonitor, listKind: ServiceMonitorList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [selector, endpoints]
              properties:
                selector: {type: object, properties: {matchLabels: {type: object, additionalProperties: {type: string}}}}
                endpoints:
                  type: array
                  items:
                    type: object
                    properties:
                      port: {type: string}
                      honorLabels: {type: boolean}
                      interval: {type: string, pattern: '^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$'}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: prometheusrules.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {plural: prometheusrules, singular: prometheusrule, kind: PrometheusRule, listKind: PrometheusRuleList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              properties:
                groups:
                  type: array
                  items:
                    type: object
                    required: [name]
                    properties:
                      name: {type: string, minLength: 1}
                      interval: {type: string}
                      rules:
                        type: array
                        items:
                          type: object
                          required: [expr]
                          properties:
                            alert: {type: string}
                            record: {type: string}
                            expr: {type: string}
                            for: {type: string}
                            keep_firing_for: {type: string}
                            labels: {type: object, additionalProperties: {type: string}}
                            annotations: {type: object, additionalProperties: {type: string}}
`
