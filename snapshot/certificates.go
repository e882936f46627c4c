package snapshot

import (
	"crypto/x509"
	"slices"
	"time"

	"google.golang.org/grpc/credentials"
)

// A Certificate is one that the connection to the cluster depends on.
type Certificate struct {
	Endpoint  string // of the server that presented it; "" for our own
	File      string // of our own
	Subject   string
	Authority bool // it signs others
	NotAfter  time.Time
}

// Certificates are our client certificate, and what each server presented with the authorities that vouch for it, each once.
func (c *Cluster) Certificates() []Certificate {
	var all []Certificate
	if c.own != nil {
		all = append(all, Certificate{File: c.ownFile, Subject: c.own.Subject.String(), NotAfter: c.own.NotAfter})
	}
	var seen []*x509.Certificate
	for _, l := range c.links {
		for _, cert := range l.chain {
			if slices.ContainsFunc(seen, cert.Equal) {
				continue
			}
			seen = append(seen, cert)
			all = append(all, Certificate{Endpoint: l.url, Subject: cert.Subject.String(), Authority: cert.IsCA, NotAfter: cert.NotAfter})
		}
	}
	return all
}

// present keeps the certificates of a handshake that succeeded.
func (w *witness) present(info credentials.AuthInfo) {
	over, ok := info.(credentials.TLSInfo)
	if !ok {
		return
	}
	chain := over.State.PeerCertificates
	if len(over.State.VerifiedChains) > 0 {
		chain = over.State.VerifiedChains[0]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.chain = chain
}

func (w *witness) presented() []*x509.Certificate {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chain
}
