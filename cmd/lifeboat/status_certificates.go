package main

import (
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// certificates tells of those that end soon, as the newest backup saw them: nobody backs up once they have.
func (s *statusJSON) certificates(newest catalog.Entry, now time.Time) {
	for _, c := range newest.Certificates {
		if c.NotAfter.Sub(now) >= snapshot.CertificateSoon {
			continue
		}
		what := map[catalog.CertificateRole]string{
			catalog.CertificateClient: "our client certificate for etcd",
			catalog.CertificateServer: "a certificate of etcd's members",
			catalog.CertificateCA:     "an authority behind the certificates of etcd",
		}[c.Role]
		if what == "" { // of a role that a later version knows
			continue
		}
		s.attention("certificate", "%s, as %s saw it, %s: renew it in time, and the next backup will say so; `lifeboat doctor` tells which one it is", what, newest.ID, snapshot.EndingText(c.NotAfter, now))
	}
}
