package backup_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// TestTheManifestSaysWhenCertificatesEnd: whoever has only the bucket sees it coming, and the log of every run says so for the last 30 days.
func TestTheManifestSaysWhenCertificatesEnd(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1, TLS: true})
	now := time.Now()
	ends := now.AddDate(0, 0, 29).UTC().Truncate(time.Second)
	soon, err := c.CA.Issue("ends-soon", pki.Options{Client: true, NotAfter: ends})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	h := newHouse(t, c.Endpoints(), mem.New())
	h.startClock(now)
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.Etcd.CAFile, h.Etcd.CertFile, h.Etcd.KeyFile = soon.CA, soon.Cert, soon.Key
	var roles []catalog.CertificateRole
	for _, cert := range h.run(t).Manifest.Certificates {
		roles = append(roles, cert.Role)
		if isSoon := cert.Role == catalog.CertificateClient; isSoon != cert.NotAfter.Equal(ends) {
			t.Errorf("%+v, and ours ends at %s", cert, ends)
		}
	}
	if len(roles) != 3 || roles[0] != catalog.CertificateClient || roles[1] != catalog.CertificateServer || roles[2] != catalog.CertificateCA {
		t.Errorf("roles %q", roles)
	}
	if said := log.String(); strings.Count(said, "expires on") != 1 || !strings.Contains(said, "our client certificate "+soon.Cert) || !strings.Contains(said, "without it no backup is taken") {
		t.Errorf("the log says\n%s", said)
	}
}
