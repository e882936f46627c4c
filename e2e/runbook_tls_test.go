package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

// TestAClusterMovesToTLSByThePage has three plain members go to https as the page says: systemd's part is played by a supervisor, all else is real. It
// takes writes all the while, and in the end plain http from nobody.
func TestAClusterMovesToTLSByThePage(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.6", Names: []string{"cp1", "cp2", "cp3"}}, kubedata.Options{Keys: 200, Seed: 53})
	p := newPlainNodes(t, s)
	if !answersPlainly(t, s.Endpoints()[0]) {
		t.Fatal("it does not answer plainly before")
	}
	lost := p.writing(t)
	cp1, each := []string{"cp1"}, []string{"cp1", "cp2", "cp3"}
	p.follow(t, "moving-to-tls.md", cp1, each, each, cp1, each, cp1, cp1)
	if err := lost(); err != nil {
		t.Error(err)
	}
	secure := awaitAll(t, p.clientTLS(t), p.https()...)
	rev := headOf(t, secure)
	awaitAll(t, p.clientTLS(t), p.https()...)
	sameHash(t, secure, rev, askHashes(t, secure, p.https(), rev))
	members, err := secure.MemberList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members.Members {
		for _, url := range append(m.PeerURLs, m.ClientURLs...) {
			if !strings.HasPrefix(url, "https:") {
				t.Errorf("%s has the URL %s", m.Name, url)
			}
		}
	}
	for _, url := range s.Endpoints() {
		if answersPlainly(t, url) {
			t.Errorf("%s still answers", url)
		}
	}
	shown := s.recordedAs(t, "prod", "latest")
	if ids := s.storedAs(t, "prod"); len(ids) != 3 || shown.ID != ids[2] || len(shown.Suspect.Reasons) > 0 {
		t.Errorf("of the backups %v the newest good one is %+v", ids, shown)
	}
}

// newPlainNodes hands a plain cluster over to systemd on three nodes, with the certificates ready that it does not use yet.
func newPlainNodes(t *testing.T, s *scene) *controlPlane {
	t.Helper()
	p := &controlPlane{scene: s, nodes: map[string]*desk{}}
	ca, err := pki.NewCA(filepath.Join(t.TempDir(), "pki"), "authority of the cluster")
	if err != nil {
		t.Fatal(err)
	}
	var initial, addresses []string
	for i, m := range s.Members() {
		initial = append(initial, m.Name+"="+m.PeerURL)
		for _, scheme := range []string{"http", "https"} {
			addresses = append(addresses,
				fmt.Sprintf("%s://10.0.0.%d:2379", scheme, 5+i), withScheme(scheme, m.ClientURL), fmt.Sprintf("%s://10.0.0.%d:2380", scheme, 5+i), withScheme(scheme, m.PeerURL))
		}
		s.Stop(t, i)
	}
	for _, m := range s.Members() {
		node := lab.Dir(t)
		d := newDesk(t, s.Cluster)
		d.node, d.replace = node, strings.NewReplacer(append(addresses,
			"s3://etcd-backups/prod?region=eu-central-1", s.sink, "/root/backup.key", s.identity,
			"http://127.0.0.1:2379", m.ClientURL, "https://127.0.0.1:2379", withScheme("https", m.ClientURL),
			"/etc/etcd/pki/", node+"/", "/etc/default/etcd", node+"/default", "/var/lib/etcd-restored", filepath.Join(d.dir, "lib", "etcd-restored"))...)
		d.tool(t, "etcd-3.6", "etcdctl")
		issue(t, ca, node, "server", pki.Options{Hosts: []string{"127.0.0.1"}, Server: true, Client: true})
		issue(t, ca, node, "peer", pki.Options{Hosts: []string{"127.0.0.1"}, Server: true, Client: true})
		issue(t, ca, node, "client", pki.Options{Client: true})
		for name, text := range map[string]string{
			filepath.Join(d.dir, "bin/systemctl"): strings.ReplaceAll(systemctl, "NODE", node),
			filepath.Join(node, "default"): fmt.Sprintf(`ETCD_NAME="%s"
ETCD_DATA_DIR="%s"
ETCD_LISTEN_PEER_URLS="%[3]s"
ETCD_LISTEN_CLIENT_URLS="%[4]s"
ETCD_INITIAL_ADVERTISE_PEER_URLS="%[3]s"
ETCD_ADVERTISE_CLIENT_URLS="%[4]s"
ETCD_INITIAL_CLUSTER="%[5]s"
ETCD_INITIAL_CLUSTER_TOKEN="lab"
`, m.Name, m.DataDir, m.PeerURL, m.ClientURL, strings.Join(initial, ",")),
			filepath.Join(node, "wanted"): "boot",
		} {
			if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		p.nodes[m.Name] = d
		supervise(t, systemd(node, lab.Tool(t, "etcd-3.6", "etcd")))
	}
	awaitAll(t, nil, s.Endpoints()...)
	return p
}

func withScheme(scheme, url string) string { return scheme + strings.TrimPrefix(url, "http") }

// issue puts a certificate into the folder of a node.
func issue(t *testing.T, by *pki.CA, node, name string, o pki.Options) {
	t.Helper()
	pair, err := by.Issue(filepath.Base(node)+"-"+name, o)
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{pair.CA: "ca.crt", pair.Cert: name + ".crt", pair.Key: name + ".key"} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(node, to), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (p *controlPlane) clientTLS(t *testing.T) *tls.Config {
	t.Helper()
	node := p.nodes["cp1"].node
	conf, err := transport.TLSInfo{
		CertFile: filepath.Join(node, "client.crt"), KeyFile: filepath.Join(node, "client.key"), TrustedCAFile: filepath.Join(node, "ca.crt"),
	}.ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

func (p *controlPlane) https() (urls []string) {
	for _, url := range p.Endpoints() {
		urls = append(urls, withScheme("https", url))
	}
	return urls
}

// writing writes all the while, to whoever takes it, plainly or not. The returned function ends that, and tells what was acknowledged and is lost, or
// that nothing was taken for a minute.
func (p *controlPlane) writing(t *testing.T) (lost func() error) {
	t.Helper()
	dial := func(conf *tls.Config, urls []string) *clientv3.Client {
		c, err := clientv3.New(clientv3.Config{Endpoints: urls, TLS: conf, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	conf := p.clientTLS(t)
	plain, secure := dial(nil, p.Endpoints()), dial(conf, p.https())
	ctx, cancel := context.WithCancel(t.Context())
	var written int
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() {
		for last := time.Now(); ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
			for _, c := range []*clientv3.Client{secure, plain} {
				short, stop := context.WithTimeout(ctx, 2*time.Second)
				_, err := c.Put(short, fmt.Sprint("/registry/configmaps/default/while-moving-", written), "value")
				stop()
				if err == nil {
					written++
					last = time.Now()
					break
				}
			}
			if time.Since(last) > time.Minute {
				failed = fmt.Errorf("nothing was written for a minute, after %d writes", written)
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return func() error {
		cancel()
		wg.Wait()
		if failed != nil {
			return failed
		}
		for i := range written {
			got, err := secure.Get(t.Context(), fmt.Sprint("/registry/configmaps/default/while-moving-", i))
			if err != nil {
				return err
			}
			if len(got.Kvs) != 1 {
				return fmt.Errorf("write %d of %d is lost", i, written)
			}
		}
		if written < 10 {
			return fmt.Errorf("there were only %d writes", written)
		}
		return nil
	}
}

// answersPlainly tells whether a member still answers over http.
func answersPlainly(t *testing.T, url string) bool {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(url + "/version")
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
