package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// A control plane is a cluster on three nodes, cp1 to cp3, each with folders of its own for what a page calls /etc and /var/lib.
type controlPlane struct {
	*scene
	nodes map[string]*desk
}

// newControlPlane lays out the nodes. more are further replacements, for all of them.
func newControlPlane(t *testing.T, s *scene, more ...string) *controlPlane {
	t.Helper()
	p := &controlPlane{s, map[string]*desk{}}
	var shared []string
	for i, m := range s.Members() {
		shared = append(shared, fmt.Sprintf("https://10.0.0.%d:2380", 5+i), m.PeerURL)
	}
	for _, m := range s.Members() {
		node := lab.Dir(t)
		d := newDesk(t, s.Cluster, append(append(more, shared...),
			"s3://etcd-backups/prod?region=eu-central-1", s.sink, "/root/backup.key", s.identity,
			"https://127.0.0.1:2379", m.ClientURL, "/etc/kubernetes/", node+"/kubernetes/", "/var/lib/etcd", m.DataDir)...)
		d.tool(t, "etcd-3.6", "etcdctl")
		p.nodes[m.Name] = d
		layOutNode(t, node, podOf(s.Cluster, m))
		if err := os.WriteFile(filepath.Join(d.dir, "bin/crictl"), []byte(strings.ReplaceAll(crictl, "NODE", node)), 0o755); err != nil {
			t.Fatal(err)
		}
		d.node = node
	}
	return p
}

// podOf is the static pod that runs a member, as kubeadm writes it for the first node: it names no other.
func podOf(c *lab.Cluster, m lab.Member) string {
	pod := staticPod(c, m, m.DataDir)
	server := filepath.Join(c.Dir, "pki", "server")
	for _, each := range []string{
		"--peer-cert-file=" + server + ".crt", "--peer-key-file=" + server + ".key", "--peer-trusted-ca-file=" + c.CAFile, "--peer-client-cert-auth=true",
	} {
		pod = strings.Replace(pod, "    image:", "    - "+each+"\n    image:", 1)
	}
	return strings.NewReplacer("--cert-file="+c.CertFile, "--cert-file="+server+".crt", "--key-file="+c.KeyFile, "--key-file="+server+".key").Replace(pod)
}

// follow does what a page says, block by block, each on the nodes where the page wants it done. What a block exports, later ones on that node
// use.
func (p *controlPlane) follow(t *testing.T, page string, on ...[]string) {
	t.Helper()
	all := blocks(t, filepath.Join("docs/runbooks", page))
	if len(all) != len(on) {
		t.Fatalf("%s has %d blocks, and it is known of %d where to do them", page, len(all), len(on))
	}
	for i, b := range all {
		for _, node := range on[i] {
			d := p.nodes[node]
			env := filepath.Join(d.dir, "exported")
			d.run(t, fmt.Sprintf("%s:%d on %s", page, b.line, node),
				"test ! -e '"+env+"' || . '"+env+"'\n"+b.text+"\nexport -p > '"+env+"'\n")
		}
	}
}

// TestALostMemberIsReplacedByThePage loses the disk of a member and does what the page says, on the nodes where it says so: kubelet's part is
// played by a supervisor, all else is real. The cluster is whole again, and goes on as the same one. The translation says the same
// commands, see TestTheRunbooksSayTheSameCommands.
func TestALostMemberIsReplacedByThePage(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.6", TLS: true, Names: []string{"cp1", "cp2", "cp3"}}, kubedata.Options{Keys: 300, Seed: 51, Churn: 50, Compact: true})
	p := newControlPlane(t, s)
	lost := s.Members()[2]
	s.Kill(t, 2)
	if err := os.RemoveAll(lost.DataDir); err != nil {
		t.Fatal(err)
	}
	supervise(t, kubelet(p.nodes["cp3"].node, lab.Tool(t, "etcd-3.6", "etcd"))) // and so it founds a cluster of its own
	awaitAll(t, s.ClientTLS(t), lost.ClientURL)
	mustSay(t, "backup", s.backup(t).said, `endpoint=`+lost.ClientURL+` .*a cluster of its own`)
	cp1, cp3 := []string{"cp1"}, []string{"cp3"}
	p.follow(t, "member-lost.md", cp1, cp3, cp1, cp1, cp3, cp1, cp1, cp3)
	s.whole(t)
	if ids := s.storedAs(t, "prod"); len(ids) != 2 || s.recordedAs(t, "prod", "latest").ID != ids[1] {
		t.Errorf("the newest of %v is not the latest", ids)
	}
}
