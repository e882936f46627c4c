package snapshot

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	day        = "2006-01-02 15:04 MST"
	clientPort = "is this the client port (usually 2379) of an etcd member?"
	lookAround = "check the address, the firewall and the health of this member"
)

// explain turns what a dial or a request returned, and what the witness saw below it, into an error for people and advice.
func explain(err error, seen error, t target, a *access) (string, error) {
	if errors.Is(err, errConnect) || errors.Is(err, errPlainToTLS) || (isTimeout(err) && seen != nil) {
		return explainConnection(err, seen, t, a)
	}
	if isTimeout(err) {
		return lookAround, err
	}
	if errors.Is(err, context.Canceled) {
		return "", err
	}
	return explainRequest(err, a)
}

func isTimeout(err error) bool {
	return err != nil && (errors.Is(err, context.DeadlineExceeded) || strings.HasPrefix(err.Error(), "no answer"))
}

// isAbsent tells whether nothing at all answered, rather than something that does not serve us.
func isAbsent(err, seen error) bool {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(seen, syscall.ECONNREFUSED), errors.Is(seen, syscall.EHOSTUNREACH), errors.Is(seen, syscall.ENETUNREACH), errors.As(seen, &dns):
		return true
	case seen == nil:
		return isTimeout(err)
	}
	return errors.As(seen, &timeout) && timeout.Timeout()
}

// explainConnection is for a connection that never came to be.
func explainConnection(err error, seen error, t target, a *access) (string, error) {
	var (
		dns    *net.DNSError
		record tls.RecordHeaderError
	)
	host, _, _ := net.SplitHostPort(t.host)
	switch {
	case errors.Is(err, errPlainToTLS):
		return "write https:// and give the cluster's CA and a client certificate", errors.New("the server speaks TLS, the endpoint says http")
	case seen == nil && errors.Is(err, errConnect):
		return clientPort, errors.New("the server does not speak etcd's protocol")
	case seen == nil:
		return lookAround, err
	case errors.As(seen, &record):
		return "write http:// if this cluster really serves in plain text", errors.New("the server does not speak TLS, the endpoint says https")
	case errors.Is(seen, syscall.ECONNREFUSED):
		return "is etcd running there, and is this its client port (usually 2379)?", errors.New("connection refused")
	case errors.As(seen, &dns) && dns.IsNotFound:
		return "check the spelling and this machine's DNS", fmt.Errorf("host name %s cannot be found", host)
	}
	if hint, text := explainServerCert(seen, host, a); text != nil {
		return hint, text
	}
	if hint, text := explainRefusal(seen, a, time.Now()); text != nil {
		return hint, text
	}
	var timeout net.Error
	if errors.As(seen, &timeout) && timeout.Timeout() {
		return lookAround, fmt.Errorf("no answer within %s", a.dialTimeout)
	}
	if errors.Is(seen, errHungUp) {
		hint := "is a member up behind this address (a load balancer, a tunnel)?"
		if a.leaf == nil && a.caFile == "" && a.user == "" { // with any of these, plain text would be a mistake, or give a password away
			hint += " Does this cluster want a client certificate? If it serves in plain text, write http://"
		}
		return hint, seen
	}
	if t.tls && a.leaf == nil {
		return "does this cluster want a client certificate?", seen
	}
	return clientPort, seen
}

// explainServerCert is for a server whose certificate we do not accept.
func explainServerCert(err error, host string, a *access) (string, error) {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &unknown):
		if a.caFile == "" {
			return "give the cluster's CA certificate (kubeadm: /etc/kubernetes/pki/etcd/ca.crt)",
				errors.New("the server's certificate is signed by an authority this system does not know")
		}
		return issuerHint(unknown.Cert),
			fmt.Errorf("the server's certificate is not signed by the CA in %s", a.caFile)
	case errors.As(err, &name):
		var names []string
		if name.Certificate != nil {
			names = append(names, name.Certificate.DNSNames...)
			for _, ip := range name.Certificate.IPAddresses {
				names = append(names, ip.String())
			}
		}
		return fmt.Sprintf("it is for %s: use one of these in the endpoint", strings.Join(names, ", ")),
			fmt.Errorf("the server's certificate is not for %s", name.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		if time.Now().Before(invalid.Cert.NotBefore) {
			return "check this machine's clock",
				fmt.Errorf("the server's certificate is valid only from %s", invalid.Cert.NotBefore.UTC().Format(day))
		}
		return "renew it on that member (kubeadm: kubeadm certs renew etcd-server), or check this machine's clock",
			fmt.Errorf("the server's certificate expired on %s", invalid.Cert.NotAfter.UTC().Format(day))
	}
	return "", nil
}

func issuerHint(cert *x509.Certificate) string {
	if cert == nil {
		return "give the CA certificate of this cluster (kubeadm: /etc/kubernetes/pki/etcd/ca.crt)"
	}
	return fmt.Sprintf("it was issued by %q: give that CA's certificate (kubeadm: /etc/kubernetes/pki/etcd/ca.crt)", cert.Issuer.String())
}

// explainRefusal is for a server that does not accept us. All it says is a TLS alert; why is seen from our own certificate.
func explainRefusal(err error, a *access, now time.Time) (string, error) {
	if !isAlert(err) {
		return "", nil
	}
	said := err.Error()
	if _, after, ok := strings.Cut(said, "tls: "); ok {
		said = after
	}
	switch {
	case a.leaf == nil:
		return "give a client certificate and its key (kubeadm: /etc/kubernetes/pki/etcd/healthcheck-client.crt)",
			fmt.Errorf("the server wants a client certificate (it says %q)", said)
	case now.After(a.leaf.NotAfter):
		return "renew it (kubeadm: kubeadm certs renew etcd-healthcheck-client)",
			fmt.Errorf("client certificate %s expired on %s", a.certFile, a.leaf.NotAfter.UTC().Format(day))
	case now.Before(a.leaf.NotBefore):
		return "check this machine's clock",
			fmt.Errorf("client certificate %s is valid only from %s", a.certFile, a.leaf.NotBefore.UTC().Format(day))
	default:
		return "it has to be signed by the CA in etcd's --trusted-ca-file, for client authentication",
			fmt.Errorf("the server refuses client certificate %s (it says %q)", a.certFile, said)
	}
}

// isAlert tells whether the other side has ended a TLS connection for a reason of its own.
func isAlert(err error) bool {
	var alert tls.AlertError
	var op *net.OpError
	return errors.As(err, &alert) || (errors.As(err, &op) && op.Op == "remote error")
}

// explainRequest is for a request that was refused or failed on a working connection.
func explainRequest(err error, a *access) (string, error) {
	const root = "a snapshot needs the root role: etcdctl user grant-role USER root"
	switch desc := rpctypes.ErrorDesc(err); desc {
	case rpctypes.ErrorDesc(rpctypes.ErrGRPCAuthFailed):
		return fmt.Sprintf("the password was read from %s", a.passFile), fmt.Errorf("wrong user or password for %q", a.user)
	case rpctypes.ErrorDesc(rpctypes.ErrGRPCUserEmpty):
		return "give a user and a password file; " + root, errors.New("authentication is on, and no user is given")
	case rpctypes.ErrorDesc(rpctypes.ErrGRPCPermissionDenied):
		if a.user == "" {
			return root, errors.New("permission denied")
		}
		return strings.Replace(root, "USER", a.user, 1), fmt.Errorf("permission denied to user %q", a.user)
	case rpctypes.ErrorDesc(rpctypes.ErrGRPCInvalidAuthToken):
		return "was the password or a role changed meanwhile?", errors.New("the login is no longer valid")
	}
	s := status.Convert(err)
	switch s.Code() {
	case codes.Unimplemented:
		return clientPort, fmt.Errorf("not an etcd client endpoint: %s", s.Message())
	case codes.Canceled:
		return "", context.Canceled
	case codes.DeadlineExceeded:
		return "", context.DeadlineExceeded
	case codes.OK, codes.Unknown:
		return "", err
	default:
		return "", &rpcError{code: s.Code(), text: strings.TrimPrefix(s.Message(), "etcdserver: "), err: err}
	}
}

// rpcError is an RPC's failure without gRPC's wrapping words.
type rpcError struct {
	code codes.Code
	text string
	err  error
}

func (e *rpcError) Error() string { return e.text }
func (e *rpcError) Unwrap() error { return e.err }
