package restore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestMain(m *testing.M) {
	lab.Main(m, map[string]child.Role{
		snapshot.InspectRoleName: snapshot.InspectRole,
		EditRole:                 EditMain,
		victimRole:               victim,
	})
}

// bootTime bounds how long a restored cluster may take until it serves, on a busy machine.
const bootTime = 60 * time.Second

// populate writes objects of Kubernetes.
func populate(t testing.TB, cli *clientv3.Client, keys int) kubedata.Stats {
	t.Helper()
	stats, err := kubedata.Fill(t.Context(), cli, kubedata.Options{Keys: keys, Leases: 3, Churn: keys / 4, Compact: true, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

// newMembers describes members with these names on free ports of loopback.
func newMembers(t testing.TB, scheme string, names ...string) []Member {
	t.Helper()
	ports := lab.FreePorts(t, 2*len(names))
	var all []Member
	for i, n := range names {
		all = append(all, Member{
			Name:       n,
			PeerURLs:   []string{fmt.Sprintf("%s://127.0.0.1:%d", scheme, ports[2*i])},
			ClientURLs: []string{fmt.Sprintf("%s://127.0.0.1:%d", scheme, ports[2*i+1])},
		})
	}
	return all
}

// fileSource is a source of a local file that has to be fine.
func fileSource(t testing.TB, path string) Source {
	t.Helper()
	s, err := FromFile(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustRun carries out a plan that has to work.
func mustRun(t testing.TB, p Plan, d Deps) *Result {
	t.Helper()
	res, err := Run(t.Context(), p, d)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// A booted is a restored cluster that runs on the flags that its restore has told.
type booted struct {
	clients map[string]*clientv3.Client // by member, each asks only that one
	urls    map[string]string
	any     *clientv3.Client
}

// boot starts the binary of a version for every member, and waits until every one serves.
func boot(t testing.TB, version string, members ...MemberResult) *booted {
	t.Helper()
	logs := lab.Dir(t)
	pair := pki.Pair{}
	b := &booted{clients: map[string]*clientv3.Client{}, urls: map[string]string{}}
	var all []string
	exits := map[string]<-chan error{}
	for _, m := range members {
		url := flagValue(t, m.Flags, "--advertise-client-urls")
		args := append([]string{"--logger=zap", "--log-level=warn"}, m.Flags...)
		if strings.HasPrefix(url, "https") {
			if pair == (pki.Pair{}) {
				pair = certify(t, logs)
			}
			args = append(args, "--client-cert-auth", "--trusted-ca-file="+pair.CA, "--cert-file="+pair.Cert, "--key-file="+pair.Key,
				"--peer-client-cert-auth", "--peer-trusted-ca-file="+pair.CA, "--peer-cert-file="+pair.Cert, "--peer-key-file="+pair.Key)
		}
		log, err := os.Create(filepath.Join(logs, m.Name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(lab.Tool(t, "etcd-"+version, "etcd"), args...)
		cmd.Stdout, cmd.Stderr = log, log
		exit, err := child.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			<-exit
			_ = log.Close()
		})
		exits[m.Name] = exit
		b.urls[m.Name] = url
		b.clients[m.Name] = dial(t, pair, url)
		all = append(all, url)
	}
	b.any = dial(t, pair, all...)
	for name, cli := range b.clients {
		if err := serving(t.Context(), cli, exits[name]); err != nil {
			text, _ := os.ReadFile(filepath.Join(logs, name+".log"))
			t.Fatalf("member %s on etcd %s does not serve: %v\n%s", name, version, err, text)
		}
	}
	return b
}

func certify(t testing.TB, dir string) pki.Pair {
	t.Helper()
	ca, err := pki.NewCA(filepath.Join(dir, "pki"), "authority of the restored")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue("member", pki.Options{Hosts: []string{"127.0.0.1"}, Server: true, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func dial(t testing.TB, pair pki.Pair, urls ...string) *clientv3.Client {
	t.Helper()
	var conf *tls.Config
	if pair != (pki.Pair{}) {
		var err error
		if conf, err = (transport.TLSInfo{CertFile: pair.Cert, KeyFile: pair.Key, TrustedCAFile: pair.CA}).ClientConfig(); err != nil {
			t.Fatal(err)
		}
	}
	cli, err := clientv3.New(clientv3.Config{Endpoints: urls, TLS: conf, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cli.Close() })
	return cli
}

// serving waits for a linearizable read.
func serving(ctx context.Context, cli *clientv3.Client, exit <-chan error) error {
	deadline := time.After(bootTime)
	for {
		short, stop := context.WithTimeout(ctx, 2*time.Second)
		_, err := cli.Get(short, "is it there")
		stop()
		if err == nil {
			return nil
		}
		select {
		case died := <-exit:
			return errors.Join(errors.New("it ended"), died)
		case <-deadline:
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// wantHash asks every member over RPC for its HashKV.
func (b *booted) wantHash(t testing.TB, want snapshot.Hash) {
	t.Helper()
	for name, cli := range b.clients {
		got, err := cli.HashKV(t.Context(), b.urls[name], want.Revision)
		if err != nil {
			t.Fatalf("HashKV of %s: %v", name, err)
		}
		if got.Hash != want.Hash {
			t.Errorf("member %s has HashKV %08x at revision %d (compacted at %d), the source %08x", name, got.Hash, want.Revision, got.CompactRevision, want.Hash)
		}
	}
}

func flagValue(t testing.TB, flags []string, name string) string {
	t.Helper()
	for _, f := range flags {
		if v, ok := strings.CutPrefix(f, name+"="); ok {
			return v
		}
	}
	t.Fatalf("no %s among %v", name, flags)
	return ""
}
