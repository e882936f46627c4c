package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// printedBook is what `restore --runbook -o json` prints.
type printedBook struct {
	Steps, Back []struct {
		Title    string
		On       []string
		Commands []string
	}
}

// TestTheStepsOfARunbookBringTheClusterBack does what the runbooks print for a cluster, on every node they name: `lifeboat`, `etcdctl`,
// `mkdir`, `mv` and `rm` are real; what needs a kubelet, systemd, k3s or Talos (crictl, kubectl, systemctl, k3s, talosctl) does nothing. The cluster
// of kubeadm serves again when etcd is to start; those of k3s and Talos are given a snapshot that etcdutl takes.
func TestTheStepsOfARunbookBringTheClusterBack(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true, Names: []string{"cp1", "cp2", "cp3"}})
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
	book := func(t *testing.T, kind string) (all printedBook) {
		t.Helper()
		args := []string{"restore", "latest", "--runbook", kind, "--no-bump", "--sink", sink, "--identity", k.identity}
		decode(t, lifeboat(t, append(args, "-o", "json")...).must(t, 0).stdout, &all)
		text := lifeboat(t, args...).must(t, 0).stdout
		for _, s := range all.Steps {
			for _, command := range s.Commands {
				if !strings.Contains(text, "     "+command+"\n") {
					t.Errorf("%s is in the JSON only:\n%s", command, text)
				}
			}
		}
		return all
	}
	for i := range c.Members() {
		c.Kill(t, i)
	}
	for _, kind := range []string{"k3s", "talos"} {
		t.Run(kind, func(t *testing.T) {
			d := bookDesk(t, c)
			var taken []string
			for _, s := range book(t, kind).Steps {
				for _, on := range append(s.On, "desk")[:max(len(s.On), 1)] {
					for _, command := range s.Commands {
						d.run(t, s.Title, "cd '"+d.dir+"'\n"+onNode(d, c, on).Replace(command))
						for _, place := range []string{d.dir, filepath.Join(d.dir, on, "k3s")} {
							found, _ := filepath.Glob(filepath.Join(place, "lifeboat-"+b.ID+".db"))
							for _, f := range found {
								d.run(t, "etcdutl", "test -d '"+f+".restored' || etcdutl snapshot restore '"+f+"' --data-dir '"+f+".restored'")
								taken = append(taken, f)
							}
						}
					}
				}
			}
			if len(taken) == 0 {
				t.Error("no snapshot was written")
			}
		})
	}
	t.Run("kubeadm", func(t *testing.T) {
		d := bookDesk(t, c)
		for _, m := range c.Members() {
			layOutNode(t, filepath.Join(d.dir, m.Name), staticPod(c, m, m.DataDir))
		}
		for _, s := range book(t, "kubeadm").Steps {
			for _, on := range s.On {
				for _, command := range s.Commands {
					d.run(t, s.Title, onNode(d, c, on).Replace(command))
				}
			}
			if s.Title == "Start etcd" {
				startAgain(t, c)
			}
		}
		sameHash(t, c.Client(t), b.Revision, want)
	})
}

// bookDesk is a desk with the tools of others, of which most do nothing.
func bookDesk(t *testing.T, c *lab.Cluster) *desk {
	t.Helper()
	d := newDesk(t, c)
	for _, tool := range []string{"crictl", "kubectl", "systemctl", "k3s", "talosctl"} {
		if err := os.WriteFile(filepath.Join(d.dir, "bin", tool), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.tool(t, "etcd-3.6", "etcdctl")
	d.tool(t, "etcd-3.6", "etcdutl")
	for _, m := range c.Members() {
		if err := os.MkdirAll(filepath.Join(d.dir, m.Name, "k3s", "db"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d.dir, m.Name, "k3s", "token"), []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// onNode puts a node's own folders in the place of those that a command names. etcd of k3s and Talos does not run here.
func onNode(d *desk, c *lab.Cluster, node string) *strings.Replacer {
	return strings.NewReplacer(
		"/etc/kubernetes/pki/etcd/ca.crt", c.CAFile, "/etc/kubernetes/pki/etcd/healthcheck-client.crt", c.CertFile, "/etc/kubernetes/pki/etcd/healthcheck-client.key", c.KeyFile,
		"/etc/kubernetes/", filepath.Join(d.dir, node, "kubernetes")+"/",
		"/var/lib/rancher/k3s/server/", filepath.Join(d.dir, node, "k3s")+"/",
		"etcdctl --endpoints=https://127.0.0.1:2379 ", "true etcdctl ",
	)
}
