//go:build node

package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/lab/node"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

// TestNodeTheChartBacksUpTheClusterItRunsIn is what a user of the chart does, and what becomes of it: installed in a real cluster with our own image, its
// CronJob fires by itself and backs up that same cluster's etcd; what it says is proven by the other jobs, and what it wrote by a new API
// server that shows the same objects.
func TestNodeTheChartBacksUpTheClusterItRunsIn(t *testing.T) {
	buildImage(t)
	node.Beside(t, func(t *testing.T, n *node.Node) {
		c := newChart(t, n)
		c.installWrong(t)
		// The first backup waits at the gate for as long as somebody wants to look at it.
		c.install(t, "lifeboat", "--set=backup.schedule=* * * * *", "--set=observe.interval=2s", "--set-string=sink="+c.sinkAt(c.gate.url))
		job := c.fired(t, "lifeboat-backup")
		c.insideOf(t, job)
		c.gate.open()
		c.succeeds(t, job)
		// By hand from here on, so that what is looked at stays the newest.
		c.kubectl(t, "patch", "cronjob", "lifeboat-backup", "--patch", `{"spec":{"suspend":true}}`)
		c.idle(t, "lifeboat-backup")
		made := c.state(t, "lifeboat").Newest
		c.wrongValues(t)
		t.Run("verify, rehearse and prune", func(t *testing.T) {
			for _, name := range []string{"verify", "rehearse", "prune"} {
				c.succeeds(t, c.byHand(t, "lifeboat-"+name))
				if now := c.state(t, "lifeboat").Verified; name != "prune" && (now == nil || now.ID != made.ID || now.By != name) {
					t.Errorf("after %s, the newest proof is %+v", name, now)
				}
			}
		})
		t.Run("observed", func(t *testing.T) {
			c.tells(t, c.pod(t, "app.kubernetes.io/component=observe"), fmt.Sprintf(`lifeboat_backup_revision{cluster="lifeboat"} %d`, made.Revision),
				`lifeboat_observation_success{cluster="lifeboat"} 1`, `lifeboat_check_failed{cluster="lifeboat",kind="rehearse"} 0`)
		})
		t.Run("helm test", func(t *testing.T) {
			said := c.helm(t, "test", "lifeboat", "--logs", "--timeout=5m")
			if !strings.Contains(said, "Phase:          Succeeded") || !strings.Contains(said, node.Etcd) {
				t.Errorf("helm test said\n%s", said)
			}
		})
		t.Run("what is restored is the same", func(t *testing.T) { c.comesBack(t, made.ID, made.Revision) })
		t.Run("as a service", func(t *testing.T) { c.service(t) })
		t.Run("on the control plane", func(t *testing.T) { c.onControlPlane(t) })
	})
}

// A chart is the chart and what it needs, beside a node.
type chart struct {
	n         *node.Node
	namespace string
	minio     *lab.S3
	bucket    string
	gate      *gate
	keys      keys
	signing   string
	values    string // file of what every release is given
}

// newChart brings image, sink, keys and Secrets to the node.
func newChart(t *testing.T, n *node.Node) *chart {
	t.Helper()
	if err := n.Import(t.Context(), os.Getenv(builtImage)); err != nil {
		t.Fatal(err)
	}
	c := &chart{n: n, namespace: "default", minio: lab.StartMinIOAt(t, node.Address), keys: newKeys(t), signing: filepath.Join(t.TempDir(), "sign.key")}
	c.bucket = c.minio.Bucket(t)
	c.gate = newGate(t, node.Address, c.minio.URL)
	lifeboat(t, "key", "new", "--signing", c.signing).must(t, 0)
	c.kubectl(t, "create", "secret", "generic", "etcd", "--from-file=ca.crt="+n.Client.CA, "--from-file=tls.crt="+n.Client.Cert, "--from-file=tls.key="+n.Client.Key)
	c.secrets(t)
	c.kubectl(t, "label", "namespace", c.namespace, "pod-security.kubernetes.io/enforce=restricted")
	values, err := json.Marshal(map[string]any{
		"endpoints": []string{node.Etcd}, "sink": c.sinkAt(c.minio.URL), "recipient": readFile(t, c.keys.recipients), "image": map[string]any{"tag": imageTag},
		"etcdTLS": map[string]any{"secretName": "etcd"}, "sinkCredentials": map[string]any{"secretName": "sink"}, "identity": map[string]any{"secretName": "identity"},
		"signing": map[string]any{"secretName": "signing"}, "kubernetesEvents": map[string]any{"enabled": true}, "trustedKeys": readFile(t, c.signing+".pub"),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.values = filepath.Join(t.TempDir(), "values.json")
	if err := os.WriteFile(c.values, values, 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// secrets makes those that every release needs.
func (c *chart) secrets(t *testing.T) {
	t.Helper()
	for name, file := range map[string]string{
		"sink": "credentials=" + c.minio.CredentialsFile, "identity": "identity=" + c.keys.identity, "signing": "sign.key=" + c.signing,
	} {
		c.kubectl(t, "create", "secret", "generic", name, "--from-file="+file)
	}
}

func (c *chart) sinkAt(server string) string {
	return fmt.Sprintf("s3://%s/etcd?endpoint=%s&region=%s&path-style=true", c.bucket, url.QueryEscape(server), lab.Region)
}

// ours is lifeboat beside the node, with what a person has at hand: the credentials of the sink and the keys.
func (c *chart) ours(t *testing.T, command string, args ...string) ran {
	t.Helper()
	env := []string{"AWS_SHARED_CREDENTIALS_FILE=" + c.minio.CredentialsFile}
	return lifeboatWith(t, env, slices.Concat([]string{command}, args, []string{"--sink", c.sinkAt(c.minio.URL)})...)
}

// A state is what status says of the backups.
type state struct {
	Newest struct {
		ID       string `json:"id"`
		Revision int64  `json:"revision"`
		Signed   bool   `json:"signed"`
	} `json:"newest"`
	Verified *struct {
		ID string `json:"id"`
		By string `json:"by"`
	} `json:"verified"`
	Lineages []struct {
		Backups int `json:"backups"`
	} `json:"lineages"`
}

func (c *chart) state(t *testing.T, cluster string) (s state) {
	t.Helper()
	decode(t, c.ours(t, "status", "--cluster", cluster, "-o", "json", "--trusted-keys-file", c.signing+".pub").must(t, 0).stdout, &s)
	if s.Newest.ID == "" || !s.Newest.Signed || len(s.Lineages) != 1 {
		t.Fatalf("the newest backup is not there, not signed, or not of one lineage: %+v", s)
	}
	return s
}

// comesBack restores the backup, starts a new API server on it, and compares what that shows with what the cluster's own showed
// at the revision of the backup.
func (c *chart) comesBack(t *testing.T, id string, revision int64) {
	r := restored(t, []string{"AWS_SHARED_CREDENTIALS_FILE=" + c.minio.CredentialsFile}, "restore", id, "--cluster", "lifeboat",
		"--sink", c.sinkAt(c.minio.URL), "--identity", c.keys.identity, "--out", filepath.Join(t.TempDir(), "out"), "--initial-cluster", newNames(t, 1))
	api := lab.StartAPIServer(t, boot(t, "3.6", r).Endpoints(), pki.Pair{}, "--service-cluster-ip-range="+node.Services)
	got := objectsOf(t, api)
	resources, _, err := api.Discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := objects{}
	for _, resource := range resources {
		if resource.Name == "componentstatuses" { // made up while one asks
			continue
		}
		listed := resource
		listed.Namespaced = false
		path := fmt.Sprintf("%s?resourceVersion=%d&resourceVersionMatch=Exact", strings.TrimSuffix(listed.Path("", ""), "/"), revision)
		var list struct {
			Items []struct {
				Metadata struct{ Namespace, Name, ResourceVersion string }
			}
		}
		decode(t, c.kubectl(t, "get", "--raw", path), &list)
		for _, o := range list.Items {
			want[resource.String()+" "+o.Metadata.Namespace+"/"+o.Metadata.Name] = o.Metadata.ResourceVersion
		}
	}
	sameObjects(t, want, got)
	for _, resource := range []string{"pods", "nodes", "secrets", "cronjobs.batch", "jobs.batch", "events"} {
		if want.count(resource) == 0 {
			t.Errorf("there is no object of %s to compare", resource)
		}
	}
	lab.Report(t, "%d objects of a real cluster came back with their name and resourceVersion from a backup by the chart's CronJob", len(got))
}
