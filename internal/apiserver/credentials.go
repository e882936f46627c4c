package apiserver

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

// egress sends what is meant for the cluster (services, pods, nodes) and for webhooks to a socket that cannot exist. The data are a copy
// of somebody's cluster, which may live and be within reach.
const egress = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: /dev/null/nobody
- name: controlplane
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: /dev/null/nobody
`

// credentials are what one server is run and asked with.
type credentials struct {
	dir      string
	token    string
	serving  pki.Pair
	accounts pki.Pair // signs tokens of service accounts, which nobody will ask for
	client   *http.Client
}

func newCredentials(dir, host string) (*credentials, error) {
	ca, err := pki.NewCA(dir, "lifeboat throwaway API server")
	if err != nil {
		return nil, err
	}
	k := &credentials{dir: dir, token: rand.Text()}
	if k.serving, err = ca.Issue("serving", pki.Options{Hosts: []string{host}, Server: true}); err != nil {
		return nil, err
	}
	if k.accounts, err = ca.Issue("service-accounts", pki.Options{}); err != nil {
		return nil, err
	}
	if err := os.WriteFile(k.tokens(), fmt.Appendf(nil, "%s,lifeboat,lifeboat,system:masters\n", k.token), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(k.egress(), []byte(egress), 0o600); err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(k.serving.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	k.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	return k, nil
}

func (k *credentials) tokens() string { return filepath.Join(k.dir, "tokens.csv") }
func (k *credentials) egress() string { return filepath.Join(k.dir, "egress.yaml") }

func (k *credentials) flags() []string {
	return []string{
		"--tls-cert-file=" + k.serving.Cert,
		"--tls-private-key-file=" + k.serving.Key,
		"--token-auth-file=" + k.tokens(),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file=" + k.accounts.Key,
		"--service-account-key-file=" + k.accounts.Cert,
		"--egress-selector-config-file=" + k.egress(),
	}
}
