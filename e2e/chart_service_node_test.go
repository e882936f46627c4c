//go:build node

package e2e

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab/node"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

// service has the release do the same in one Deployment: it begins with a backup that is due by now, and stops when it is told to.
func (c *chart) service(t *testing.T) {
	before := c.state(t, "lifeboat")
	c.install(t, "lifeboat", "--set=mode=service", "--set=backup.schedule=* * * * *")
	pod := c.pod(t, "app.kubernetes.io/component=service")
	eventually(t, "the service makes a backup", func() bool { return c.state(t, "lifeboat").Newest.ID != before.Newest.ID })
	c.tells(t, pod, `lifeboat_job_last_success_timestamp_seconds{cluster="lifeboat",job="backup"}`)
	log := c.kubectl(t, "logs", pod.Metadata.Name)
	if !strings.Contains(log, "job=backup") || !strings.Contains(log, "code=0") {
		t.Errorf("the service does not tell of its backup\n%s", log)
	}
	last := make(chan string, 1)
	go func() {
		said, err := c.n.Kubectl(t.Context(), "logs", "--follow", pod.Metadata.Name)
		if err != nil {
			said = err.Error()
		}
		last <- said
	}()
	c.helm(t, "uninstall", "lifeboat")
	if said := <-last; !strings.Contains(said, "nothing was left running") {
		t.Errorf("the service does not tell of its end\n%s", said)
	}
}

// onControlPlane has the cluster backed up as kubeadm leaves it, by a release with a minimum of values: etcd is asked on the loopback of its own
// node, with what lies on the node's disk.
func (c *chart) onControlPlane(t *testing.T) {
	there := *c
	there.namespace = "kube-system"
	there.secrets(t)
	authority := filepath.Dir(c.n.Client.CA) // the node shows it to pods as it is
	if _, err := c.n.CA.Issue("healthcheck-client", pki.Options{Client: true}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(authority, "healthcheck-client.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key is not as kubeadm leaves it: %v, %v", info, err)
	}
	c.kubectl(t, "label", "node", node.Name, "node-role.kubernetes.io/control-plane=")
	there.install(t, "stacked", "--set=endpoints=null", "--set=etcdTLS.secretName=", "--set=controlPlane.enabled=true", "--set=suspend=true", "--set=observe.enabled=false", "--set=controlPlane.pkiPath="+authority)
	there.succeeds(t, there.byHand(t, "stacked-lifeboat-backup"))
	if made := there.state(t, "stacked"); made.Newest.Revision == 0 {
		t.Errorf("the backup is of nothing: %+v", made)
	}
	there.helm(t, "uninstall", "stacked")
}

// tells wants a pod that serves metrics to be as restricted as every other, and to tell what begins so, sooner or later.
func (c *chart) tells(t *testing.T, pod owned, lines ...string) {
	t.Helper()
	restricted(t, processOf(t, strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "containerd://")))
	said := ""
	for _, line := range lines {
		eventually(t, "metrics have "+line, func() bool {
			said = get(t, "http://"+net.JoinHostPort(pod.Status.PodIP, "9870")+"/metrics")
			return strings.Contains("\n"+said, "\n"+line)
		})
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(text)
}

// pod waits for one pod that runs and is ready.
func (c *chart) pod(t *testing.T, selector string) (found owned) {
	t.Helper()
	eventually(t, "a pod with "+selector+" runs", func() bool {
		for _, p := range c.list(t, "pods", "--selector="+selector) {
			if len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].Ready {
				found = p
				return true
			}
		}
		return false
	})
	return found
}
