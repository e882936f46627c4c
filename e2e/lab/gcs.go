package lab

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A GCS is a running server that speaks the protocol of Google Cloud Storage, ended with the test that started it. It wants no
// credentials, and keeps everything in memory.
type GCS struct {
	URL string // http://127.0.0.1:PORT
}

// StartGCS starts a server and returns when it serves. Every call starts one of its own, so that tests share nothing; subtests
// may share their parent's. It is not faithful in everything: Delete ignores conditions, holds and retention are stored but not
// enforced, and a generation that is no longer the newest cannot be read.
func StartGCS(t testing.TB) *GCS {
	t.Helper()
	binary := Tool(t, "fake-gcs", "fake-gcs-server")
	dir := Dir(t)
	ports := FreePorts(t, 1)
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	g := &GCS{URL: "http://" + address}
	cmd := exec.Command(binary, "-scheme", "http", "-host", "127.0.0.1", "-port", fmt.Sprint(ports[0]), "-backend", "memory",
		"-public-host", address, "-external-url", g.URL, "-data", filepath.Join(dir, "none"), "-log-level", "warn")
	cmd.Env = []string{"HOME=" + dir}
	serve(t, "the GCS server", cmd, filepath.Join(dir, "server.log"), g.URL+"/_internal/healthcheck", http.StatusOK)
	return g
}

// Bucket creates a bucket of a name nobody else uses and returns the name.
func (g *GCS) Bucket(t testing.TB) string {
	t.Helper()
	name := "lab-" + strings.ToLower(rand.Text()[:16])
	body := strings.NewReader(fmt.Sprintf(`{"name": %q}`, name))
	resp, err := http.Post(g.URL+"/storage/v1/b?project=lab", "application/json", body)
	if err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("create bucket: status %s", resp.Status)
	}
	return name
}
