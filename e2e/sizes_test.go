package e2e

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/client/pkg/v3/transport"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

// TestAClusterGrowsShrinksAndChangesItsSchemeByRestores sends the same data from one member to three, five, three and one, each time with other names
// and from http to https or back. Each cluster is backed up for the next one, and every member of each says that it holds what the first one held.
func TestAClusterGrowsShrinksAndChangesItsSchemeByRestores(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.6", Members: 1}, kubedata.Options{Keys: 200, Seed: 71, Churn: 50, Compact: true})
	ca, err := pki.NewCA(filepath.Join(t.TempDir(), "pki"), "authority of the restored")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue("member", pki.Options{Hosts: []string{"127.0.0.1"}, Server: true, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	b := s.backup(t)
	want, id, sink := b.asWritten(), b.ID, s.sink
	stop := func() { s.Stop(t, 0) }
	for _, next := range []struct {
		members int
		scheme  string
	}{{3, "https"}, {5, "http"}, {3, "https"}, {1, "http"}} {
		name := fmt.Sprintf("%d-%s", next.members, next.scheme)
		cluster := newCluster(t, next.scheme, name, next.members)
		r := restored(t, nil, "restore", id, "--sink", sink, "--identity", s.identity, "--no-bump",
			"--out", filepath.Join(t.TempDir(), "out"), "--initial-cluster", cluster)
		if len(r.Members) != next.members {
			t.Fatalf("%d members were made, want %s", len(r.Members), name)
		}
		stop()
		endpoints, kill := startRestored(t, r, next.scheme, pair)
		stop = kill
		var conf *tls.Config
		var reach []string
		if next.scheme == "https" {
			if conf, err = (transport.TLSInfo{CertFile: pair.Cert, KeyFile: pair.Key, TrustedCAFile: pair.CA}).ClientConfig(); err != nil {
				t.Fatal(err)
			}
			reach = []string{"--cacert", pair.CA, "--cert", pair.Cert, "--key", pair.Key}
		}
		sameHash(t, awaitAll(t, conf, endpoints...), b.HashKV.Revision, want)
		sink = "file://" + t.TempDir() // each is the first of its cluster there
		var taken taken
		backup := append([]string{"backup", "--recipients-file", s.recipients, "--sink", sink, "-o", "json", "--endpoints", strings.Join(endpoints, ",")}, reach...)
		decode(t, lifeboat(t, backup...).must(t, 0).stdout, &taken)
		if id = taken.ID; len(taken.Source.Members) != next.members {
			t.Errorf("of %s the backup records %d members", name, len(taken.Source.Members))
		}
	}
}

// startRestored starts members on the flags that were printed, with certificates where they have TLS, and with client URLs of the same scheme.
func startRestored(t *testing.T, r restoredCluster, scheme string, pair pki.Pair) (endpoints []string, stop func()) {
	t.Helper()
	var certificates []string
	for _, prefix := range []string{"--", "--peer-"} {
		if scheme == "https" {
			certificates = append(certificates, prefix+"client-cert-auth", prefix+"trusted-ca-file="+pair.CA, prefix+"cert-file="+pair.Cert, prefix+"key-file="+pair.Key)
		}
	}
	ports := lab.FreePorts(t, len(r.Members))
	var kill []func()
	for i, m := range r.Members {
		url := fmt.Sprintf("%s://127.0.0.1:%d", scheme, ports[i])
		endpoints = append(endpoints, url)
		flags := slices.Concat(m.Flags, certificates, []string{"--listen-client-urls", url, "--advertise-client-urls", url})
		kill = append(kill, startPrinted(t, "3.6", m.Name, flags...))
	}
	return endpoints, func() {
		for _, k := range kill {
			k()
		}
	}
}

// newCluster is a value for --initial-cluster: members named after the cluster, on free ports.
func newCluster(t *testing.T, scheme, name string, n int) string {
	t.Helper()
	ports := lab.FreePorts(t, n)
	var all []string
	for i, port := range ports {
		all = append(all, fmt.Sprintf("%s-%c=%s://127.0.0.1:%d", name, 'a'+i, scheme, port))
	}
	return strings.Join(all, ",")
}
