package snapshot

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
)

const defaultPort = "2379"

// access is what the configured files hold: everything a dial needs and everything an explanation may name.
type access struct {
	tls         *tls.Config
	leaf        *x509.Certificate // of the client certificate, nil without
	certFile    string
	caFile      string
	user        string
	password    string
	passFile    string
	dialTimeout time.Duration
}

// target is one endpoint: as written, and as dialled.
type target struct {
	url  string
	host string // with the port
	tls  bool
}

// loadAccess reads the files. Errors match ErrConfig and name the file.
func loadAccess(cfg Config) (*access, error) {
	a := &access{
		tls:      &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.ServerName},
		certFile: cfg.CertFile, caFile: cfg.CAFile, user: cfg.User, passFile: cfg.PasswordFile,
		dialTimeout: defaultDialTimeout,
	}
	if cfg.DialTimeout > 0 {
		a.dialTimeout = cfg.DialTimeout
	}
	if cfg.CAFile != "" {
		data, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, configHint("give the cluster's CA certificate to --cacert (kubeadm: /etc/kubernetes/pki/etcd/ca.crt)", "CA file: %w", err)
		}
		a.tls.RootCAs = x509.NewCertPool()
		if !a.tls.RootCAs.AppendCertsFromPEM(data) {
			return nil, configHint("give the cluster's CA certificate to --cacert (kubeadm: /etc/kubernetes/pki/etcd/ca.crt)", "CA file %s holds no PEM certificate", cfg.CAFile)
		}
	}
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return nil, configHint("give both --cert and --key", "a client certificate and its key go together, only one of them is given")
	}
	if cfg.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, configHint("--key is the private key of --cert (kubeadm: healthcheck-client.crt and healthcheck-client.key in /etc/kubernetes/pki/etcd)", "client certificate %s with key %s: %w", cfg.CertFile, cfg.KeyFile, err)
		}
		a.leaf = pair.Leaf
		// Always hand it over: left to itself the library offers none if the server's list of authorities does not match,
		// and the reason is then lost.
		a.tls.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return a, a.loadPassword()
}

func (a *access) loadPassword() error {
	if (a.user == "") != (a.passFile == "") {
		return configHint("give both --user NAME and --password-file FILE; a password is never a value", "a user and a password file go together, only one of them is given")
	}
	if a.user == "" {
		return nil
	}
	data, err := os.ReadFile(a.passFile)
	if err != nil {
		return configHint("write the password of --user into a file that only you can read, and give it to --password-file", "password file: %w", err)
	}
	a.password = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if a.password == "" {
		return configHint("write the password of --user into it", "password file %s is empty", a.passFile)
	}
	return nil
}

func (a *access) credentials() credentials.TransportCredentials { return credentials.NewTLS(a.tls) }

// parseEndpoints reads the addresses. One that is given twice is dialled once.
func parseEndpoints(cfg Config) ([]target, error) {
	var targets []target
	known := map[target]bool{}
	for _, e := range cfg.Endpoints {
		t, err := parseEndpoint(e, cfg.CAFile != "" || cfg.CertFile != "")
		if err != nil {
			return nil, err
		}
		if key := (target{host: t.host, tls: t.tls}); !known[key] {
			known[key] = true
			targets = append(targets, t)
		}
	}
	if len(targets) == 0 {
		return nil, configError("no etcd endpoint is given")
	}
	return targets, nil
}

func parseEndpoint(e string, tlsFiles bool) (target, error) {
	full := e
	if !strings.Contains(e, "://") {
		full = map[bool]string{true: "https://", false: "http://"}[tlsFiles] + e
	}
	if _, after, secret := strings.Cut(e, "@"); secret {
		return target{}, configError("endpoint …@%s carries a user or a password: give --user and --password-file instead", after)
	}
	u, err := url.Parse(full)
	if err != nil || u.Hostname() == "" {
		return target{}, configError("endpoint %q is not an address like https://host:2379", e)
	}
	if u.RawQuery != "" || strings.Trim(u.Path, "/") != "" {
		return target{}, configError("endpoint %q holds more than an address like https://host:2379", e)
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return target{}, configError("endpoint %q: %s is no port, which is a number from 1 to 65535", e, port)
	}
	host := net.JoinHostPort(u.Hostname(), port)
	switch u.Scheme {
	case "https", "http":
		return target{url: u.Scheme + "://" + host, host: host, tls: u.Scheme == "https"}, nil
	default:
		return target{}, configError("endpoint %q: scheme %q is neither https nor http", e, u.Scheme)
	}
}
