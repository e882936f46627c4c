package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// sampleID is the backup's id wherever a page needs one.
const sampleID = "20261120T145000Z-r123456-7f3a9c"

// TestEveryCommandOfTheRunbooksWorks runs every block of every runbook in order, on one node: Lifeboat, etcdctl and the moving of files are
// real, and so is the loss of two members of three for the page about it. What needs a kubelet, systemd or another node (crictl,
// kubectl, systemctl, ssh, rsync) does nothing here; that restored members serve is shown by the tests of restore.
// The translations say the same commands, see TestTheRunbooksSayTheSameCommands.
func TestEveryCommandOfTheRunbooksWorks(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true, Names: []string{"cp1", "cp2", "cp3"}})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 200, Seed: 8, Leases: 5}); err != nil {
		t.Fatal(err)
	}
	for _, page := range pagesOfOneNode() {
		t.Run(page, func(t *testing.T) { followRunbook(t, c, page+".md") })
	}
	c.Kill(t, 1)
	c.Kill(t, 2)
	t.Run("quorum-lost", func(t *testing.T) { followRunbook(t, c, "quorum-lost.md") })
}

// pagesOfOneNode are the runbooks that are followed on a single node, while its cluster is whole.
func pagesOfOneNode() []string {
	return []string{"README", "restore-one-member-per-node", "restore-all-members", "upgrade-gone-wrong", "raw-database", "stale-backup"}
}

// TestEveryRunbookIsFollowedByATest keeps a new page from being believed.
func TestEveryRunbookIsFollowedByATest(t *testing.T) {
	t.Parallel()
	// TestALostMemberIsReplacedByThePage and TestAClusterMovesToTLSByThePage need several nodes.
	followed := append(pagesOfOneNode(), "quorum-lost", "member-lost", "moving-to-tls")
	for _, page := range pages(t) {
		name, runbook := strings.CutPrefix(page, "docs/runbooks/")
		name = strings.TrimSuffix(strings.TrimSuffix(name, ".md"), ".zh-CN")
		if runbook && !slices.Contains(followed, name) {
			t.Errorf("%s is followed by no test", page)
		}
	}
}

// followRunbook lays out a control plane node whose cluster is backed up, and does what the page says.
func followRunbook(t *testing.T, c *lab.Cluster, page string) {
	k := newKeys(t)
	e := c.Endpoints()
	backups := "file://" + t.TempDir()
	node := lab.Dir(t)
	var b struct {
		ID string `json:"id"`
	}
	r := lifeboat(t, append([]string{
		"backup", "--cluster", "prod", "--recipients-file", k.recipients, "--sink", backups, "--allow-no-quorum", "-o", "json",
	}, etcdFlags(c)...)...)
	if r.code != 3 {
		r.must(t, 0)
	}
	decode(t, r.stdout, &b)
	d := newDesk(t, c,
		"s3://etcd-backups/prod?region=eu-central-1", backups, sampleID, b.ID,
		"https://127.0.0.1:2379", e[0],
		"/usr/local/bin/etcd-3.6", lab.Tool(t, "etcd-3.6", "etcd"), "/usr/local/bin/etcd-3.7", lab.Tool(t, "etcd-3.7", "etcd"),
		"/root/backup.key", k.identity, "/etc/kubernetes/", node+"/kubernetes/", "/var/lib/etcd", node+"/lib/etcd",
	)
	layOutNode(t, node, staticPod(c, c.Members()[0], node+"/lib/etcd"))
	if strings.HasPrefix(page, "raw-database") {
		// The member that the page is about has the database of this cluster, and does not run.
		lifeboat(t, "restore", b.ID, "--cluster", "prod", "--member", "cp1", "--data-dir", node+"/survivor", "--sink", backups, "--identity", k.identity).must(t, 0)
		if err := os.Rename(node+"/survivor/member/snap", node+"/lib/etcd/member/snap"); err != nil {
			t.Fatal(err)
		}
	}
	for _, tool := range []string{"crictl", "kubectl", "systemctl", "ssh", "rsync"} {
		if err := os.WriteFile(filepath.Join(d.dir, "bin", tool), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.tool(t, "etcd-3.6", "etcdctl")
	layOutUpgrade(t, d)
	// One shell for the page: what a block exports, the next one uses.
	var script strings.Builder
	for _, b := range blocks(t, filepath.Join("docs/runbooks", page)) {
		if b.lang != "sh" {
			t.Errorf("%s:%d: a block of %q is run by nobody", page, b.line, b.lang)
			continue
		}
		fmt.Fprintf(&script, "echo '== line %d' >&2\n%s", b.line, b.text)
	}
	d.run(t, page, script.String())
}

// layOutNode makes what a control plane node of kubeadm has and the runbooks move about.
func layOutNode(t *testing.T, node, etcd string) {
	t.Helper()
	for _, dir := range []string{"kubernetes/manifests", "lib/etcd/member"} {
		if err := os.MkdirAll(filepath.Join(node, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	pods := map[string]string{"etcd": etcd, "kube-apiserver": "kind: Pod\n", "kube-controller-manager": "kind: Pod\n", "kube-scheduler": "kind: Pod\n"}
	for name, pod := range pods {
		if err := os.WriteFile(filepath.Join(node, "kubernetes/manifests", name+".yaml"), []byte(pod), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
