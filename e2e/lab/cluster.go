package lab

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
	"github.com/lifeboat-dr/lifeboat/internal/member"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

// Password is the password of the user root in a cluster with authentication.
const Password = "correct horse battery staple"

// ready bounds how long a cluster may take until it serves, on a busy machine.
const ready = 2 * time.Minute

// Versions are the kinds of etcd a test can have anywhere. "3.4" exists as well where Debian's packages are unpacked.
var Versions = []string{"3.5", "3.6", "3.7", "builtin"}

// ClusterOptions say what kind of cluster to start.
type ClusterOptions struct {
	Version    string   // "3.5", "3.6", "3.7", "builtin" (the default; needs Main in TestMain), or "3.4"
	Members    int      // 3 if neither this nor Names is given
	Names      []string // of the members; "m1", "m2", … if not given
	TLS        bool     // certificates in both directions, among members and with clients
	Auth       bool     // authentication with the user root, who has Password
	QuotaBytes int64
	Args       []string // further flags; not for "builtin"
}

// A Member is one member as it was started.
type Member struct {
	Name, ClientURL, PeerURL, DataDir, LogFile string
}

// A Cluster is a running etcd cluster, stopped at the end of the test that started it.
type Cluster struct {
	Dir                       string  // everything it writes is in here
	CA                        *pki.CA // more certificates can be issued by it; nil without TLS
	CAFile, CertFile, KeyFile string  // a client's; empty without TLS

	members []Member
	specs   []member.Spec
	procs   []*member.Process
	auth    bool
}

// StartCluster starts a cluster and returns when every member answers linearizable reads.
func StartCluster(t testing.TB, o ClusterOptions) *Cluster {
	t.Helper()
	c := &Cluster{Dir: Dir(t)}
	if len(o.Names) == 0 {
		for i := range max(o.Members, 0) {
			o.Names = append(o.Names, fmt.Sprintf("m%d", i+1))
		}
	}
	if len(o.Names) == 0 {
		o.Names = []string{"m1", "m2", "m3"}
	}
	c.describe(t, o)
	c.procs = make([]*member.Process, len(c.specs))
	t.Cleanup(func() {
		for _, p := range c.procs {
			if p != nil {
				_ = p.Kill() // its directory is about to go
			}
		}
	})
	for i := range c.specs {
		c.launch(t, i)
	}
	for i := range c.specs {
		c.await(t, i)
	}
	if o.Auth {
		c.enableAuth(t)
	}
	return c
}

// describe settles names, ports, certificates and directories.
func (c *Cluster) describe(t testing.TB, o ClusterOptions) {
	t.Helper()
	var peerTLS, clientTLS member.TLS
	scheme := "http"
	if o.TLS {
		scheme = "https"
		peerTLS, clientTLS = c.certify(t)
	}
	ports := FreePorts(t, 2*len(o.Names))
	peers := map[string]string{}
	for i, name := range o.Names {
		m := Member{
			Name:      name,
			ClientURL: fmt.Sprintf("%s://127.0.0.1:%d", scheme, ports[2*i]),
			PeerURL:   fmt.Sprintf("%s://127.0.0.1:%d", scheme, ports[2*i+1]),
			DataDir:   filepath.Join(c.Dir, name),
			LogFile:   filepath.Join(c.Dir, name+".log"),
		}
		c.members = append(c.members, m)
		peers[name] = m.PeerURL
		c.specs = append(c.specs, member.Spec{
			Binary:         etcdBinary(t, o.Version),
			Name:           name,
			DataDir:        m.DataDir,
			ClientURL:      m.ClientURL,
			PeerURL:        m.PeerURL,
			InitialCluster: peers,
			Token:          "lab",
			QuotaBytes:     o.QuotaBytes,
			ClientTLS:      clientTLS,
			PeerTLS:        peerTLS,
			Args:           o.Args,
			LogFile:        m.LogFile,
		})
	}
}

// etcdBinary is "" for the built-in etcd.
func etcdBinary(t testing.TB, version string) string {
	t.Helper()
	switch version {
	case "", "builtin":
		return ""
	case "3.4":
		return Tool(t, tools.Debian, "etcd")
	}
	return Tool(t, "etcd-"+version, "etcd")
}

func (c *Cluster) certify(t testing.TB) (peer, client member.TLS) {
	t.Helper()
	ca, err := pki.NewCA(filepath.Join(c.Dir, "pki"), "lab authority")
	if err != nil {
		t.Fatal(err)
	}
	// etcd's gateway uses the server's certificate as a client's, and a peer is both anyway.
	server, err := ca.Issue("server", pki.Options{Hosts: []string{"127.0.0.1", "localhost"}, Server: true, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	user, err := ca.Issue("client", pki.Options{Client: true})
	if err != nil {
		t.Fatal(err)
	}
	c.CA, c.CAFile, c.CertFile, c.KeyFile = ca, user.CA, user.Cert, user.Key
	return member.TLS(server), member.TLS(server)
}

func (c *Cluster) launch(t testing.TB, i int) {
	t.Helper()
	p, err := member.Start(context.Background(), c.specs[i]) // it ends with the test, by Cleanup, and not before its other cleanups
	if err != nil {
		t.Fatal(err)
	}
	c.procs[i] = p
}

// await waits until one member answers a linearizable read, or fails the test with what the member said when it died.
func (c *Cluster) await(t testing.TB, i int) {
	t.Helper()
	cli := c.client(t, c.members[i].ClientURL)
	defer cli.Close()
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	for {
		short, stop := context.WithTimeout(ctx, 2*time.Second)
		_, err := cli.Get(short, "lab/ready")
		stop()
		if err == nil {
			return
		}
		select {
		case <-c.procs[i].Done():
			t.Fatal(c.procs[i].Err())
		case <-ctx.Done():
			t.Fatalf("member %s does not serve after %v: %v", c.members[i].Name, ready, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *Cluster) enableAuth(t testing.TB) {
	t.Helper()
	cli := c.Client(t)
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	_, err := cli.UserAdd(ctx, "root", Password)
	if err == nil {
		_, err = cli.UserGrantRole(ctx, "root", "root")
	}
	if err == nil {
		_, err = cli.AuthEnable(ctx)
	}
	if err != nil {
		t.Fatalf("enable authentication: %v", err)
	}
	c.auth = true
}

// Endpoints are the client URLs of all members.
func (c *Cluster) Endpoints() (urls []string) {
	for _, m := range c.members {
		urls = append(urls, m.ClientURL)
	}
	return urls
}

// Members are all members in the order of their names in the options, running or not.
func (c *Cluster) Members() []Member { return slices.Clone(c.members) }

// Client returns a client of all members, closed at the end of the test.
func (c *Cluster) Client(t testing.TB) *clientv3.Client {
	t.Helper()
	cli := c.client(t, c.Endpoints()...)
	t.Cleanup(func() { _ = cli.Close() })
	return cli
}

func (c *Cluster) client(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	cfg := clientv3.Config{Endpoints: endpoints, DialTimeout: 10 * time.Second, Logger: zap.NewNop(), TLS: c.ClientTLS(t)}
	if c.auth {
		cfg.Username, cfg.Password = "root", Password
	}
	cli, err := clientv3.New(cfg)
	if err != nil {
		t.Fatalf("client of %v: %v", endpoints, err)
	}
	return cli
}

// ClientTLS is the configuration of a client of this cluster; nil without TLS.
func (c *Cluster) ClientTLS(t testing.TB) *tls.Config {
	t.Helper()
	if c.CAFile == "" {
		return nil
	}
	cfg, err := transport.TLSInfo{CertFile: c.CertFile, KeyFile: c.KeyFile, TrustedCAFile: c.CAFile}.ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Stop stops the i-th member in order.
func (c *Cluster) Stop(t testing.TB, i int) {
	t.Helper()
	if err := c.procs[i].Stop(); err != nil {
		t.Fatal(err)
	}
}

// Kill kills the i-th member with SIGKILL.
func (c *Cluster) Kill(t testing.TB, i int) {
	t.Helper()
	if err := c.procs[i].Kill(); err != nil {
		t.Fatal(err)
	}
}

// Start starts members again, given by their place in order, on the data they have, and returns when they serve. Where a
// quorum needs several of them, they have to be named in one call.
func (c *Cluster) Start(t testing.TB, members ...int) {
	t.Helper()
	for _, i := range members {
		c.launch(t, i)
	}
	c.Await(t, members...)
}

// Await returns when each of these members answers a linearizable read. After the leader was stopped or killed, writes fail
// until the others have elected a new one.
func (c *Cluster) Await(t testing.TB, members ...int) {
	t.Helper()
	for _, i := range members {
		c.await(t, i)
	}
}

// Change changes how the i-th member is started the next time.
func (c *Cluster) Change(i int, how func(*member.Spec)) { how(&c.specs[i]) }

// Launch starts the i-th member again on the data it has and does not wait for it: one that cannot reach the others never serves
// a linearizable read.
func (c *Cluster) Launch(t testing.TB, i int) {
	t.Helper()
	c.launch(t, i)
}

// StartEmpty starts the i-th member with an empty directory, as one that was added to a cluster that exists, and returns when it serves.
func (c *Cluster) StartEmpty(t testing.TB, i int) {
	t.Helper()
	if err := os.RemoveAll(c.members[i].DataDir); err != nil {
		t.Fatal(err)
	}
	c.specs[i].State = "existing"
	c.Start(t, i)
}

// Process is the i-th member's process, for a test that wants to do something else to it.
func (c *Cluster) Process(i int) *member.Process { return c.procs[i] }

// A Hash is a member's answer to HashKV.
type Hash struct {
	Hash            uint32
	CompactRevision int64
}

// HashKV asks every member over RPC for the hash of its keys up to a revision (0: its newest). Members that are down fail
// the test.
func (c *Cluster) HashKV(t testing.TB, rev int64) map[string]Hash {
	t.Helper()
	cli := c.Client(t)
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	hashes := map[string]Hash{}
	for _, m := range c.members {
		r, err := HashKV(ctx, cli, m.ClientURL, rev)
		if err != nil {
			t.Fatalf("hash of member %s: %v", m.Name, err)
		}
		hashes[m.Name] = Hash{Hash: r.Hash, CompactRevision: r.CompactRevision}
	}
	return hashes
}

// HashKV asks one member, again while it has not come as far as the revision: what a client has written a follower may get to know a moment
// later.
func HashKV(ctx context.Context, cli *clientv3.Client, url string, rev int64) (*clientv3.HashKVResponse, error) {
	for {
		r, err := cli.HashKV(ctx, url, rev)
		if err == nil || rpctypes.ErrorDesc(err) != rpctypes.ErrorDesc(rpctypes.ErrFutureRev) {
			return r, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}
