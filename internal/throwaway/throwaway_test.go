package throwaway

import (
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

func TestMain(m *testing.M) { lab.Main(m, nil) }

// three describes a cluster of three in dir.
func three(t *testing.T, dir string) (*Cluster, *Addresses) {
	t.Helper()
	held, err := Hold(6)
	if err != nil {
		t.Fatal(err)
	}
	var nodes []*Node
	for i, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, &Node{
			Name: name, DataDir: filepath.Join(dir, name), LogFile: filepath.Join(dir, name+".log"),
			ClientURL: held.URL(2 * i), PeerURL: held.URL(2*i + 1),
		})
	}
	c, err := New(dir, "test", held, nodes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
	})
	return c, held
}

// wantTaken fails the test if anybody could listen on an address.
func wantTaken(t *testing.T, rawURL, when string) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	if l, err := net.Listen("tcp", u.Host); err == nil {
		l.Close()
		t.Errorf("%s: %s can be had by others", when, u.Host)
	}
}

// TestPortsAreNobodyElsesFromTheFirstToTheLast looks before the members start, while they run, and between two starts.
func TestPortsAreNobodyElsesFromTheFirstToTheLast(t *testing.T) {
	for _, version := range []string{"builtin", "3.5", "3.6", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c, held := three(t, lab.Dir(t))
			how := How{}
			if version != "builtin" {
				how.Binary = lab.Tool(t, "etcd-"+version, "etcd")
			}
			n := c.Nodes[1]
			wantTaken(t, n.PeerURL, "before the first start")
			for range 2 {
				if err := c.Start(t.Context(), how); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Serving(t.Context(), time.Minute); err != nil {
					t.Fatal(err)
				}
				wantTaken(t, n.ClientURL, "while it runs")
				if err := n.Stop(); err != nil {
					t.Fatal(err)
				}
				wantTaken(t, n.ClientURL, "after a stop")
				wantTaken(t, n.PeerURL, "after a stop")
			}
			if err := c.Kill(); err != nil {
				t.Fatal(err)
			}
			if held.sockets != nil {
				t.Error("the addresses are held for ever")
			}
		})
	}
}

// TestWhoDoesNotServeIsNamed kills a member, and asks for one that cannot form a quorum.
func TestWhoDoesNotServeIsNamed(t *testing.T) {
	dir := lab.Dir(t)
	c, _ := three(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "b"), nil, 0o600); err != nil { // a file where its data directory should be
		t.Fatal(err)
	}
	if err := c.Start(t.Context(), How{}); err != nil {
		t.Fatal(err)
	}
	var down *DownError
	if _, err := c.Serving(t.Context(), time.Minute); !errors.As(err, &down) || down.Member != "b" || !strings.Contains(down.Reason, "directory") {
		t.Errorf("%v", err)
	}
	if err := c.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	c.Nodes = c.Nodes[2:] // alone
	if _, err := c.Serving(t.Context(), 3*time.Second); !errors.As(err, &down) || down.Member != "c" || !strings.Contains(down.Reason, "within 3s") {
		t.Errorf("%v", err)
	}
}

// TestNobodyWithoutItsCertificatesIsServed connects as any other user of the machine could.
func TestNobodyWithoutItsCertificatesIsServed(t *testing.T) {
	c, _ := three(t, lab.Dir(t))
	if err := c.Start(t.Context(), How{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Serving(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, u := range []string{c.Nodes[0].ClientURL, strings.Replace(c.Nodes[0].ClientURL, "https", "http", 1)} {
		conf := c.TLS.Clone()
		conf.Certificates = nil
		stranger, err := dial(u, conf)
		if err != nil {
			t.Fatal(err)
		}
		defer stranger.Close()
		if err := (&Node{Name: "x", ClientURL: u, Client: stranger}).askOnce(t.Context()); err == nil {
			t.Errorf("%s answers anybody", u)
		}
	}
}
