package overhttp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Roots returns the system's certificates and those of a PEM file, or nil where none is given.
func Roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("CA file: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, sinks.Because("the CA file "+file+" holds no certificate in PEM", fs.ErrInvalid)
	}
	return roots, nil
}

// Stalled dresses a stall for people. The window is what it was given.
func Stalled(err error, window time.Duration) (hint string, cause error) {
	return "the network or the store hangs: look at proxies and firewalls on the way, and try again",
		sinks.Because(fmt.Sprintf("stalled: less than %d KiB moved in %v", sinks.StallBytes>>10, window), err)
}

// Unreached dresses what kept a request from being sent to an endpoint. The whole of err stays matched, only why is said.
func Unreached(err, why error, endpoint string) (hint string, cause error) {
	hint = Hopeless(why)
	if hint == "" {
		hint = "check the endpoint, the network, and that the store is up"
		if strings.HasPrefix(endpoint, "http://") && !errors.Is(why, syscall.ECONNREFUSED) {
			hint += "; if the store speaks TLS, write https:// for the endpoint"
		}
	}
	return hint, sinks.Because("the store cannot be reached: "+why.Error(), err)
}

// Hopeless returns the hint for a connection that will not come to be however often it is tried, or "".
func Hopeless(err error) string {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "check the host name in the endpoint"
	case errors.As(err, &authority):
		return "give the certificate of the authority that signed it as the sink's CA file"
	case errors.As(err, &host):
		return "use a name the certificate is made for in the endpoint"
	case errors.As(err, &invalid), errors.As(err, &verify):
		return "the store's certificate has to be renewed or replaced; check this machine's clock as well"
	case errors.As(err, &record):
		return "the store does not speak TLS there; write http:// for the endpoint, or use another port"
	case errors.As(err, &alert):
		return "the store broke off the TLS handshake; it may want a client certificate"
	}
	return ""
}
