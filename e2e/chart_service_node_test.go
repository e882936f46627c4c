//go:build node

package e2e

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/lab/node"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

// service has the release do the same in one Deployment: it begins with a backup that is due by now, and stops when it is told to.
func (c *chart) service(t *testing.T) {
	before := c.state(t, "lifeboat")
	c.install(t, "lifeboat", "--set=mode=service", "--set=backup.schedule=* * * * *")
	pod := c.pod(t, "app.kubernetes.io/component=service")
	eventually(t, "the service makes a backup", func() bool { return c.state(t, "lifeboat").Newest.ID != before.Newest.ID })
	c.tells(t, pod, `lifeboat_job_last_success_timestamp_seconds{cluster="lifeboat",task="backup"}`)
	log := c.kubectl(t, "logs", pod.Metadata.Name)
	if !strings.Contains(log, "job=backup") || !strings.Contains(log, "code=0") {
		t.Errorf("the service does not tell of its backup\n%s", log)
	}
	if said := c.lastWords(t, pod, func() { c.helm(t, "uninstall", "lifeboat") }); !strings.Contains(said, "nothing was left running") {
		t.Errorf("the service does not tell of its end\n%s", said)
	}
}

// lastWords follows the log of a pod while something puts an end to it.
func (c *chart) lastWords(t *testing.T, pod owned, end func()) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), lab.Tool(t, tools.Kube, "kubectl"), "--kubeconfig="+c.n.Kubeconfig, "logs", "--follow", pod.Metadata.Name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := bufio.NewReader(out)
	if _, err := log.ReadString('\n'); err != nil { // so that it follows by now
		t.Fatal(err)
	}
	end()
	text, err := io.ReadAll(log)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		t.Error(err)
	}
	return string(text)
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
	there.install(t, "stacked", "--set=endpoints=null", "--set=etcdTLS.secretName=", "--set=suspend=true", "--set=observe.enabled=false",
		"--set=controlPlane.enabled=true", "--set=controlPlane.pkiPath="+authority)
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
	for _, line := range lines {
		eventually(t, "metrics have "+line, func() bool {
			status, said := ask(t, "http://"+net.JoinHostPort(pod.Status.PodIP, "9870")+"/metrics")
			return status == http.StatusOK && strings.Contains("\n"+said, "\n"+line)
		})
	}
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
