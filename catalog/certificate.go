package catalog

import (
	"cmp"
	"slices"
	"time"
)

// A CertificateRole is what a certificate is for.
type CertificateRole string

// The roles, a closed set.
const (
	CertificateClient CertificateRole = "client" // ours, by which etcd lets us in
	CertificateServer CertificateRole = "server" // what an endpoint presented
	CertificateCA     CertificateRole = "ca"     // of an authority that vouches for one of those
)

// CertificateRoles are all there are.
func CertificateRoles() []CertificateRole {
	return []CertificateRole{CertificateClient, CertificateServer, CertificateCA}
}

// A Certificate tells when the first one of a role ends, and nothing else of it.
type Certificate struct {
	Role     CertificateRole `json:"role"`
	NotAfter time.Time       `json:"not_after"`
}

// impossible reports whether it ends when no certificate can, and no JSON could say it.
func (c Certificate) impossible() bool { return c.NotAfter.Year() < 1 || c.NotAfter.Year() > 9999 }

// normalCertificates are the earliest of each role, in the order of CertificateRoles, and after them of roles that only a later version knows.
func normalCertificates(all []Certificate) []Certificate {
	earliest := []Certificate{}
	for _, c := range all {
		c.NotAfter = c.NotAfter.UTC().Truncate(time.Second)
		i := slices.IndexFunc(earliest, func(e Certificate) bool { return e.Role == c.Role })
		switch {
		case i < 0:
			earliest = append(earliest, c)
		case c.NotAfter.Before(earliest[i].NotAfter):
			earliest[i] = c
		}
	}
	place := func(r CertificateRole) int {
		if i := slices.Index(CertificateRoles(), r); i >= 0 {
			return i
		}
		return len(CertificateRoles())
	}
	slices.SortFunc(earliest, func(a, b Certificate) int {
		return cmp.Or(cmp.Compare(place(a.Role), place(b.Role)), cmp.Compare(a.Role, b.Role))
	})
	return earliest
}
