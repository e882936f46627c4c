package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

// TestScripts runs the golden scripts: wrong input, each with its exit code, message and hint. They share one TLS cluster, one
// with authentication, one MinIO and one GCS server.
func TestScripts(t *testing.T) {
	env := scriptEnvironment(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, env...)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

func scriptEnvironment(t *testing.T) []string {
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true, Names: []string{"m0", "m1", "m2"}})
	auth := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1, TLS: true, Auth: true})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 500, Seed: 1, Leases: 10}); err != nil {
		t.Fatal(err)
	}
	minio, gcs := lab.StartMinIO(t), lab.StartGCS(t)
	dir := t.TempDir()
	if _, err := pki.NewCA(filepath.Join(dir, "other"), "another authority"); err != nil {
		t.Fatal(err)
	}
	expired := expiredClient(t, c)
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(lab.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := newKeys(t)
	e := c.Endpoints()
	return []string{
		"ENDPOINTS=" + strings.Join(e, ","), "ENDPOINT1=" + e[1], "ENDPOINT2=" + e[2],
		"CA=" + c.CAFile, "CERT=" + c.CertFile, "KEY=" + c.KeyFile,
		"OTHERCA=" + filepath.Join(dir, "other", "ca.crt"), "EXPIREDCERT=" + expired.Cert, "EXPIREDKEY=" + expired.Key,
		"AUTH_ENDPOINTS=" + strings.Join(auth.Endpoints(), ","), "AUTH_CA=" + auth.CAFile, "AUTH_CERT=" + auth.CertFile, "AUTH_KEY=" + auth.KeyFile,
		"AUTH_PASSWORD=" + password,
		"RECIPIENTS=" + k.recipients, "IDENTITY=" + k.identity,
		"MINIO=" + minio.URL, "BUCKET=" + minio.Bucket(t), "GCS=" + gcs.URL, "GCS_BUCKET=" + gcs.Bucket(t),
		"AWS_ACCESS_KEY_ID=" + minio.AccessKey, "AWS_SECRET_ACCESS_KEY=" + minio.SecretKey,
		"LIFEBOAT_SPOOL_DIR=" + dir,
	}
}

// expiredClient issues a client certificate of the cluster's own authority that expired an hour ago.
func expiredClient(t *testing.T, c *lab.Cluster) pki.Pair {
	t.Helper()
	pair, err := c.CA.Issue("expired", pki.Options{Client: true, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// exits is the script command `exits CODE COMMAND …`: the command must end with exactly that status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG …]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit %d, want %d", got, want)
	}
}
