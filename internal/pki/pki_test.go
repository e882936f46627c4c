package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

func TestCertificatesOpenATrustedConnectionUntilTheyExpire(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	ca, err := pki.NewCA(dir, "test authority")
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Issue("server", pki.Options{Hosts: []string{"127.0.0.1", "localhost"}, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	client, err := ca.Issue("client", pki.Options{Client: true})
	if err != nil {
		t.Fatal(err)
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	expired, err := ca.Issue("expired", pki.Options{Client: true, NotBefore: yesterday.Add(-time.Hour), NotAfter: yesterday})
	if err != nil {
		t.Fatal(err)
	}
	if err := connect(t, server, client); err != nil {
		t.Errorf("a good certificate was refused: %v", err)
	}
	var invalid x509.CertificateInvalidError
	if err := connect(t, server, expired); !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("an expired certificate gave %v", err)
	}
	if err := connect(t, server, server); err == nil {
		t.Error("a server's certificate was taken for a client's")
	}
}

func TestKeysAreForTheirOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	ca, err := pki.NewCA(dir, "test authority")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue("someone", pki.Options{Client: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(dir, "ca.key"), pair.Key} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
	}
}

// connect makes a mutually authenticated connection and returns the server's opinion of it.
func connect(t *testing.T, server, client pki.Pair) error {
	t.Helper()
	authority, err := os.ReadFile(server.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	near, far := net.Pipe()
	go func() {
		_ = tls.Client(near, &tls.Config{
			RootCAs:      pool,
			ServerName:   "127.0.0.1",
			Certificates: []tls.Certificate{load(t, client)},
		}).Handshake()
		_ = near.Close()
	}()
	defer far.Close()
	return tls.Server(far, &tls.Config{
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		Certificates: []tls.Certificate{load(t, server)},
	}).Handshake()
}

func load(t *testing.T, p pki.Pair) tls.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Error(err)
	}
	return cert
}
