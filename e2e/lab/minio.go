package lab

import (
	"net/http"
	"os/exec"
	"testing"
)

// StartMinIO starts a MinIO server and returns when it serves, in less than a second. Every call starts one of its own, so
// that tests share nothing; subtests may share their parent's. What it is to know besides goes into its environment, as in
// MINIO_KMS_SECRET_KEY=name:base64.
func StartMinIO(t testing.TB, env ...string) *S3 {
	t.Helper()
	return StartMinIOAt(t, "127.0.0.1", env...)
}

// StartMinIOAt is StartMinIO at another address of this machine.
func StartMinIOAt(t testing.TB, host string, env ...string) *S3 {
	t.Helper()
	binary := Tool(t, "minio", "minio")
	dir := Dir(t)
	m := newS3(t, "MinIO", host, dir)
	cmd := exec.Command(binary, "server", "--quiet", "--address", m.address(), m.Dir)
	cmd.Env = append([]string{
		"HOME=" + dir,
		"MINIO_ROOT_USER=" + m.AccessKey,
		"MINIO_ROOT_PASSWORD=" + m.SecretKey,
		"MINIO_UPDATE=off",
		"MINIO_BROWSER=off",
	}, env...)
	m.serve(t, cmd, "/minio/health/ready", http.StatusOK)
	return m
}
