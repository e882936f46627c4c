package snapshot

import (
	"crypto/x509"
	"fmt"
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

// CertificateSoon is how long before a certificate ends people are told.
const CertificateSoon = 30 * 24 * time.Hour

// Ending says that a certificate ends soon or has ended, and what to do about it; "" where that is far off.
func (c Certificate) Ending(now time.Time) (sentence, advice string, ended bool) {
	left := c.NotAfter.Sub(now)
	if left >= CertificateSoon {
		return "", "", false
	}
	what, advice := fmt.Sprintf("the certificate of %s (%s)", c.Endpoint, c.Subject), "renew it on that member, and look at its peer certificate, which cannot be seen from here (kubeadm: kubeadm certs check-expiration)"
	switch {
	case c.Endpoint == "":
		what, advice = fmt.Sprintf("our client certificate %s (%s)", c.File, c.Subject), "renew it: without it no backup is taken (kubeadm: kubeadm certs renew etcd-healthcheck-client)"
	case c.Authority:
		what, advice = fmt.Sprintf("the authority %s behind the certificate of %s", c.Subject, c.Endpoint), "change the authority in time: every certificate it has signed ends with it"
	}
	return what + " " + EndingText(c.NotAfter, now), advice, left <= 0
}

// EndingText says when something ends or has ended: "expires on 2026-12-01 12:00 UTC, in 11 days".
func EndingText(at, now time.Time) string {
	const day = "2006-01-02 15:04 MST"
	switch left := at.Sub(now); {
	case left <= 0:
		return "expired on " + at.UTC().Format(day)
	case left < 48*time.Hour:
		return fmt.Sprintf("expires on %s, in %d h", at.UTC().Format(day), int(left.Hours()))
	default:
		return fmt.Sprintf("expires on %s, in %d days", at.UTC().Format(day), int(left.Hours()/24))
	}
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
