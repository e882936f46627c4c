// Package throwaway runs etcd clusters of a few members on loopback, for a rehearsal and for the demo: it makes their
// certificates, starts, watches and stops them, and tells when they serve.
//
// Every cluster wants certificates of an authority made for it alone, because what it holds may be a copy of somebody's
// secrets and other users of the machine can reach loopback too. Data directories are the caller's to make and to remove.
package throwaway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/lifeboat-dr/lifeboat/internal/member"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

const (
	// askEvery and askTimeout pace the question whether a member serves yet.
	askEvery   = 100 * time.Millisecond
	askTimeout = 3 * time.Second
)

// A Node is one member. Name, DataDir, ClientURL, PeerURL and LogFile are required.
type Node struct {
	Name, DataDir, LogFile string
	ClientURL, PeerURL     string
	QuotaBytes             int64

	Client  *clientv3.Client // asks this member only; made by New
	Version string           // of the server, once it has answered
	proc    *member.Process  // nil while it is stopped
}

// A Cluster is several nodes that know of each other.
type Cluster struct {
	Nodes []*Node
	Token string
	held  *Addresses
	Files member.TLS  // the identity that servers and clients share
	TLS   *tls.Config // the same for a client
}

// How says on what a node is started.
type How struct {
	Binary  string   // path of an etcd binary; "" is the built-in etcd
	Args    []string // further flags, for a Binary only
	Ancient bool     // it is older than 3.5, and cannot share its ports with what holds them: they are let go
}

// New makes the cluster's certificates under dir and the nodes' clients. Nothing runs yet. The addresses are held until the
// cluster is stopped.
func New(dir, token string, held *Addresses, nodes []*Node) (c *Cluster, err error) {
	defer func() {
		if err != nil {
			held.Release()
		}
	}()
	ca, err := pki.NewCA(filepath.Join(dir, "pki"), "lifeboat throwaway cluster")
	if err != nil {
		return nil, err
	}
	pair, err := ca.Issue("member", pki.Options{Hosts: []string{"127.0.0.1"}, Server: true, Client: true})
	if err != nil {
		return nil, err
	}
	c = &Cluster{Nodes: nodes, Token: token, held: held, Files: member.TLS(pair)}
	if c.TLS, err = clientTLS(c.Files); err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if n.Client, err = dial(n.ClientURL, c.TLS); err != nil {
			return nil, errors.Join(err, c.Stop())
		}
	}
	return c, nil
}

func clientTLS(f member.TLS) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// dial makes a client that asks only the member at url, and asks again soon while that is still starting.
func dial(url string, conf *tls.Config) (*clientv3.Client, error) {
	soon := backoff.DefaultConfig
	soon.BaseDelay, soon.MaxDelay = askEvery, 3*askEvery
	return clientv3.New(clientv3.Config{
		Endpoints: []string{url}, TLS: conf, DialTimeout: askTimeout, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{Backoff: soon, MinConnectTimeout: askTimeout})},
	})
}

// Start runs every node that is not running. It does not wait for them: see Serving.
func (c *Cluster) Start(ctx context.Context, how How) error {
	for _, n := range c.Nodes {
		if n.proc == nil {
			if err := c.StartOne(ctx, n, how); err != nil {
				return err
			}
		}
	}
	return nil
}

// StartOne runs one node. Cancelling ctx kills it. The cluster is declared new, of which directories that hold members take
// no notice.
func (c *Cluster) StartOne(ctx context.Context, n *Node, how How) error {
	peers := make(map[string]string, len(c.Nodes))
	for _, m := range c.Nodes {
		peers[m.Name] = m.PeerURL
	}
	if how.Ancient {
		c.held.Release()
	}
	p, err := member.Start(ctx, member.Spec{
		Binary: how.Binary, Args: how.Args, ReusePort: !how.Ancient, Name: n.Name, DataDir: n.DataDir, ClientURL: n.ClientURL, PeerURL: n.PeerURL,
		InitialCluster: peers, Token: c.Token, State: "new",
		QuotaBytes: n.QuotaBytes, ClientTLS: c.Files, PeerTLS: c.Files, LogFile: n.LogFile,
	})
	if err != nil {
		return err
	}
	n.proc = p
	return nil
}

// Stop ends every process in order and closes the clients.
func (c *Cluster) Stop() error { return c.end((*Node).Stop) }

// Kill ends every process with SIGKILL and closes the clients: for when nobody needs the directories any more.
func (c *Cluster) Kill() error { return c.end((*Node).Kill) }

func (c *Cluster) end(how func(*Node) error) error {
	errs := make([]error, len(c.Nodes))
	var wg sync.WaitGroup
	for i, n := range c.Nodes {
		if n.Client != nil {
			_ = n.Client.Close() // its connection goes away with the member
		}
		wg.Go(func() { errs[i] = how(n) })
	}
	wg.Wait()
	c.held.Release()
	return errors.Join(errs...)
}

// Stop ends the node's process in order and keeps its client for the next start.
func (n *Node) Stop() error { return n.end((*member.Process).Stop) }

// Kill ends the node's process with SIGKILL.
func (n *Node) Kill() error { return n.end((*member.Process).Kill) }

func (n *Node) end(how func(*member.Process) error) error {
	if n.proc == nil {
		return nil
	}
	p := n.proc
	n.proc = nil
	return how(p)
}

// Err says why the node died although nobody stopped it; nil while it runs.
func (n *Node) Err() error {
	if n.proc == nil {
		return nil
	}
	select {
	case <-n.proc.Done():
		if err := n.proc.Err(); err != nil {
			return &DownError{n.Name, err.Error()}
		}
	default:
	}
	return nil
}

// DownError is a member that does not serve although it should. Reason names it.
type DownError struct{ Member, Reason string }

func (e *DownError) Error() string { return e.Reason }

// describeTimeout is the reason of a member that lives but does not serve.
func (n *Node) describeTimeout(after time.Duration, last error) string {
	return fmt.Sprintf("member %s did not serve within %s: %v\nthe end of its log:\n%s", n.Name, after, last, tailOf(n.LogFile))
}
