package snapshot_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// refused connects, and looks around if that works, and wants an error of one endpoint with these words in it and in its hint.
func refused(t *testing.T, cfg snapshot.Config, text, hint string) {
	t.Helper()
	c, err := snapshot.Connect(t.Context(), cfg)
	if err == nil {
		defer c.Close()
		_, err = c.Survey(t.Context())
	}
	var e *snapshot.EndpointError
	switch {
	case !errors.Is(err, snapshot.ErrUnavailable) || !errors.As(err, &e):
		t.Errorf("got %v, want an endpoint's error with %q", err, text)
	case !strings.Contains(err.Error(), text) || !strings.Contains(e.Hint, hint):
		t.Errorf("got %q with the hint %q, want %q and %q", err, e.Hint, text, hint)
	case strings.Contains(err.Error(), "rpc error") || strings.Contains(err.Error(), "desc ="):
		t.Errorf("gRPC's words: %q", err)
	}
}

func TestEveryWayNotToGetInIsExplained(t *testing.T) {
	t.Parallel()
	lc := lab.StartCluster(t, lab.ClusterOptions{Version: "3.7", Members: 1, TLS: true})
	good := config(t, lc)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(good.Endpoints[0], "https://"))
	with := func(change func(*snapshot.Config)) snapshot.Config {
		cfg := good
		change(&cfg)
		return cfg
	}
	other, err := pki.NewCA(t.TempDir(), "another authority")
	if err != nil {
		t.Fatal(err)
	}
	stranger := must[pki.Pair](t)(other.Issue("stranger", pki.Options{Client: true}))
	expired := must[pki.Pair](t)(lc.CA.Issue("expired", pki.Options{
		Client: true, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Date(2026, 2, 3, 4, 5, 0, 0, time.UTC),
	}))
	if time.Now().Before(time.Date(2026, 2, 4, 0, 0, 0, 0, time.UTC)) {
		t.Fatal("this machine's clock is behind this test")
	}

	t.Run("right", func(t *testing.T) {
		if s := survey(t, connect(t, good)); len(s.Candidates) != 1 || !s.Quorum {
			t.Errorf("got %+v", s)
		}
		bare := with(func(c *snapshot.Config) {
			c.Endpoints = []string{"127.0.0.1:" + port, "https://127.0.0.1:" + port + "/"}
		})
		if s := survey(t, connect(t, bare)); len(s.Candidates) != 1 || len(s.Excluded) != 0 {
			t.Errorf("without a scheme: %+v", s)
		}
	})
	t.Run("wrong CA", func(t *testing.T) {
		refused(t, with(func(c *snapshot.Config) { c.CAFile = stranger.CA }), "not signed by the CA in "+stranger.CA, "lab authority")
	})
	t.Run("no CA", func(t *testing.T) {
		refused(t, with(func(c *snapshot.Config) { c.CAFile = "" }), "an authority this system does not know", "etcd/ca.crt")
	})
	t.Run("no client certificate", func(t *testing.T) {
		refused(t, with(func(c *snapshot.Config) { c.CertFile, c.KeyFile = "", "" }), "the server wants a client certificate", "client certificate and its key")
	})
	t.Run("a stranger's client certificate", func(t *testing.T) {
		refused(t, with(func(c *snapshot.Config) { c.CertFile, c.KeyFile = stranger.Cert, stranger.Key }),
			"the server refuses client certificate "+stranger.Cert, "--trusted-ca-file")
	})
	t.Run("expired client certificate", func(t *testing.T) {
		refused(t, with(func(c *snapshot.Config) { c.CertFile, c.KeyFile = expired.Cert, expired.Key }),
			"client certificate "+expired.Cert+" expired on 2026-02-03 04:05 UTC", "renew")
	})
	t.Run("wrong host name", func(t *testing.T) {
		refused(t, with(func(c *snapshot.Config) { c.ServerName = "etcd.example" }), "certificate is not for etcd.example", "localhost, 127.0.0.1")
	})
	t.Run("plain text to a TLS port", func(t *testing.T) {
		refused(t, with(func(c *snapshot.Config) { c.Endpoints = []string{"http://127.0.0.1:" + port} }), "the server speaks TLS", "https://")
	})
	t.Run("peer port", func(t *testing.T) {
		refused(t, with(func(c *snapshot.Config) { c.Endpoints = []string{lc.Members()[0].PeerURL} }), "", "client port")
	})
}

func TestTLSToAnEtcdInPlainTextIsExplained(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.5", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := lab.StartCluster(t, lab.ClusterOptions{Version: version, Members: 1})
			cfg := snapshot.Config{Endpoints: []string{"https://" + strings.TrimPrefix(c.Endpoints()[0], "http://")}}
			refused(t, cfg, "during the TLS handshake", "write http://")
			// A password must not be given away by following advice.
			cfg.User, cfg.PasswordFile = "root", filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(cfg.PasswordFile, []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := snapshot.Connect(t.Context(), cfg)
			var e *snapshot.EndpointError
			if !errors.As(err, &e) || strings.Contains(e.Hint, "http://") || !strings.Contains(e.Hint, "load balancer") {
				t.Errorf("with a password: %v, and %+v", err, e)
			}
		})
	}
}

func TestExpiredServerCertificateIsNamed(t *testing.T) {
	t.Parallel()
	ca, err := pki.NewCA(t.TempDir(), "authority")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		from, to   time.Time
		text, hint string
	}{
		"expired":   {time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 3, 4, 5, 0, 0, time.UTC), "server's certificate expired on 2026-02-03 04:05 UTC", "renew"},
		"in future": {time.Now().Add(24 * time.Hour), time.Now().Add(48 * time.Hour), "server's certificate is valid only from", "clock"},
	} {
		pair := must[pki.Pair](t)(ca.Issue(name, pki.Options{Hosts: []string{"127.0.0.1"}, Server: true, NotBefore: c.from, NotAfter: c.to}))
		refused(t, snapshot.Config{Endpoints: []string{serveTLS(t, pair)}, CAFile: pair.CA}, c.text, c.hint)
	}
}

func TestAddressesWithoutEtcdAreExplained(t *testing.T) {
	t.Parallel()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := lis.Addr().String()
	_ = lis.Close()
	refused(t, snapshot.Config{Endpoints: []string{"http://" + closed}}, "connection refused", "2379")
	refused(t, snapshot.Config{Endpoints: []string{"http://etcd.invalid:2379"}}, "etcd.invalid cannot be found", "DNS")

	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, scheme := range []string{"http://", "https://"} {
		start := time.Now()
		refused(t, snapshot.Config{Endpoints: []string{scheme + silent.Addr().String()}, DialTimeout: 300 * time.Millisecond}, "no answer within 300ms", "firewall")
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s gave up only after %v", scheme, took)
		}
	}

	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	go func() {
		for {
			conn, err := web.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
			_ = conn.Close()
		}
	}()
	refused(t, snapshot.Config{Endpoints: []string{"http://" + web.Addr().String()}}, "", "client port")
}

func TestPasswordLogin(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.5", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			lc := lab.StartCluster(t, lab.ClusterOptions{Version: version, Members: 1, Auth: true})
			client := lc.Client(t)
			must[*clientv3.AuthUserAddResponse](t)(client.UserAdd(t.Context(), "backup", "weak"))
			password := func(text string) string {
				path := filepath.Join(t.TempDir(), "password")
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			root := config(t, lc)
			root.User, root.PasswordFile = "root", password(lab.Password+"\n")
			spool, _ := save(t, connect(t, root))
			if info := inspect(t, spool.File(), snapshot.InspectOptions{}); !info.AuthEnabled {
				t.Error("the file does not say that authentication is on")
			}
			wrong := root
			wrong.PasswordFile = password(lab.Password + "\n\n")
			refused(t, wrong, `wrong user or password for "root"`, wrong.PasswordFile)
			wrong.User = "nobody"
			refused(t, wrong, `wrong user or password for "nobody"`, wrong.PasswordFile)
			weak := root
			weak.User, weak.PasswordFile = "backup", password("weak")
			refused(t, weak, `permission denied to user "backup"`, "etcdctl user grant-role backup root")
			refused(t, config(t, lc), "authentication is on, and no user is given", "root role")
		})
	}
}

func TestUserWithoutAuthenticationIsNoReasonToFail(t *testing.T) {
	t.Parallel()
	lc := lab.StartCluster(t, lab.ClusterOptions{Version: "3.7", Members: 1})
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, lc)
	cfg.User, cfg.PasswordFile = "root", path
	save(t, connect(t, cfg))
}

func TestWrongSettingsAreNotEtcdsFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	for text, cfg := range map[string]snapshot.Config{
		"no etcd endpoint":                 {},
		`"ftp" is neither https nor http`:  {Endpoints: []string{"ftp://127.0.0.1:2379"}},
		"is not an address":                {Endpoints: []string{"http://"}},
		"99999 is no port":                 {Endpoints: []string{"http://h:99999"}},
		"holds more than an address":       {Endpoints: []string{"http://h:1/v3/kv"}},
		"CA file: open " + missing:         {Endpoints: []string{"h"}, CAFile: missing},
		"holds no PEM certificate":         {Endpoints: []string{"h"}, CAFile: junk},
		"only one of them is given":        {Endpoints: []string{"h"}, CertFile: junk},
		"client certificate " + junk:       {Endpoints: []string{"h"}, CertFile: junk, KeyFile: junk},
		"a user and a password file go":    {Endpoints: []string{"h"}, User: "root"},
		"password file: open " + missing:   {Endpoints: []string{"h"}, User: "root", PasswordFile: missing},
		"password file " + junk + " is em": {Endpoints: []string{"h"}, User: "root", PasswordFile: junk},
	} {
		_, err := snapshot.Connect(t.Context(), cfg)
		if !errors.Is(err, snapshot.ErrConfig) || errors.Is(err, snapshot.ErrUnavailable) || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %q", err, text)
		}
	}
}

func TestCancelledConnectSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := snapshot.Connect(ctx, snapshot.Config{Endpoints: []string{"127.0.0.1:1"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
