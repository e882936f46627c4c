package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// staticPod is what kubeadm writes for a member, with --initial-cluster of the node alone.
func staticPod(c *lab.Cluster, m lab.Member, dataDir string) string {
	var command strings.Builder
	for _, flag := range []string{
		"--advertise-client-urls=" + m.ClientURL, "--cert-file=" + c.CertFile, "--client-cert-auth=true", "--data-dir=" + dataDir,
		"--initial-advertise-peer-urls=" + m.PeerURL, "--initial-cluster=" + m.Name + "=" + m.PeerURL, "--key-file=" + c.KeyFile,
		"--listen-client-urls=" + m.ClientURL, "--listen-peer-urls=" + m.PeerURL, "--name=" + m.Name, "--trusted-ca-file=" + c.CAFile,
	} {
		command.WriteString("    - " + flag + "\n")
	}
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: etcd, namespace: kube-system}
spec:
  containers:
  - command:
    - etcd
%s    image: registry.k8s.io/etcd:3.6.6-0
    name: etcd
    volumeMounts:
    - mountPath: %[2]s
      name: etcd-data
  hostNetwork: true
  volumes:
  - hostPath:
      path: %[2]s
      type: DirectoryOrCreate
    name: etcd-data
`, command.String(), dataDir)
}

// TestOneCommandRestoresTheMemberOfWhateverNodeItRunsOn stops a cluster, restores every member by the same command from the file of its
// node, in the place of its directory, and starts the old commands again, unchanged: what kubelet does when the manifest is moved back.
func TestOneCommandRestoresTheMemberOfWhateverNodeItRunsOn(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 500, Seed: 3, Churn: 100, Compact: true}); err != nil {
		t.Fatal(err)
	}
	k, sink := newKeys(t), "file://"+t.TempDir()
	var b struct {
		ID       string `json:"id"`
		Revision int64  `json:"revision"`
	}
	decode(t, lifeboat(t, append([]string{"backup", "--recipients-file", k.recipients, "--sink", sink, "-o", "json"}, etcdFlags(c)...)...).must(t, 0).stdout, &b)
	want := askHashes(t, c.Client(t), c.Endpoints(), b.Revision)
	d := newDesk(t, c)
	file := func(member string) string { return filepath.Join(d.dir, member, "etcd.yaml") }
	for i, m := range c.Members() {
		c.Kill(t, i)
		if err := os.Mkdir(filepath.Join(d.dir, m.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file(m.Name), []byte(staticPod(c, m, m.DataDir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := lifeboat(t, "restore", b.ID, "--like", file("m1"), "--move-aside", "--no-bump", "--sink", sink, "--identity", k.identity).must(t, 0).stdout
	printed := printedCommand.FindAllStringSubmatch(out, -1)
	if len(printed) != 2 {
		t.Fatalf("%d commands for other nodes are printed, want 2:\n%s", len(printed), out)
	}
	for _, p := range printed {
		d.run(t, p[1], strings.ReplaceAll(p[2], file("m1"), file(p[1]))) // here all nodes are one machine
	}
	for _, m := range c.Members() {
		if _, err := os.Stat(filepath.Join(m.DataDir+".before-"+b.ID, "member", "snap", "db")); err != nil {
			t.Errorf("the old directory of %s: %v", m.Name, err)
		}
	}
	startAgain(t, c)
	sameHash(t, c.Client(t), b.Revision, want)
}

// startAgain starts every member as before, but for its founding flags, and waits until it serves.
func startAgain(t *testing.T, c *lab.Cluster) {
	t.Helper()
	pki := filepath.Join(c.Dir, "pki")
	var tls []string
	for _, prefix := range []string{"--", "--peer-"} {
		tls = append(tls, prefix+"client-cert-auth", prefix+"trusted-ca-file="+c.CAFile, prefix+"cert-file="+filepath.Join(pki, "server.crt"), prefix+"key-file="+filepath.Join(pki, "server.key"))
	}
	for _, m := range c.Members() {
		log, err := os.Create(filepath.Join(c.Dir, m.Name+".again.log"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(lab.Tool(t, "etcd-3.6", "etcd"), append([]string{
			"--name=" + m.Name, "--data-dir=" + m.DataDir, "--initial-cluster=" + m.Name + "=" + m.PeerURL, "--initial-advertise-peer-urls=" + m.PeerURL,
			"--listen-peer-urls=" + m.PeerURL, "--advertise-client-urls=" + m.ClientURL, "--listen-client-urls=" + m.ClientURL,
		}, tls...)...)
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
			if t.Failed() {
				tail, _ := os.ReadFile(log.Name())
				t.Logf("%s: %s", m.Name, tail[max(0, len(tail)-2000):])
			}
			log.Close()
		})
	}
	for _, m := range c.Members() {
		cli, err := clientv3.New(clientv3.Config{Endpoints: []string{m.ClientURL}, TLS: c.ClientTLS(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer cli.Close()
		for deadline := time.Now().Add(time.Minute); ; {
			if _, err = cli.Get(t.Context(), "x"); err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("member %s does not serve: %v", m.Name, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}
