package lab

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
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
	m := newS3(t, "MinIO", host, Dir(t))
	m.serve(t, m.minio(Tool(t, "minio", "minio"), env), minioReady, http.StatusOK)
	return m
}

// LaunchMinIO is StartMinIO for what is no test, such as a benchmark: at a port that is free, in an empty directory of the caller, until he calls stop. The process id is the server's.
func LaunchMinIO(port int, dir string) (m *S3, pid int, stop func(), err error) {
	binary, err := tools.Path("minio", "minio")
	if err != nil {
		return nil, 0, nil, err
	}
	if m, err = makeS3("MinIO", "127.0.0.1", port, dir); err != nil {
		return nil, 0, nil, err
	}
	cmd := m.minio(binary, nil)
	stop, err = launch(m.Name, cmd, m.logFile(), m.URL+minioReady, http.StatusOK)
	if err != nil {
		return nil, 0, nil, err
	}
	return m, cmd.Process.Pid, stop, nil
}

const minioReady = "/minio/health/ready"

func (s *S3) minio(binary string, env []string) *exec.Cmd {
	cmd := exec.Command(binary, "server", "--quiet", "--address", s.address(), s.Dir)
	cmd.Env = append([]string{
		"HOME=" + filepath.Dir(s.Dir),
		"MINIO_ROOT_USER=" + s.AccessKey,
		"MINIO_ROOT_PASSWORD=" + s.SecretKey,
		"MINIO_UPDATE=off",
		"MINIO_BROWSER=off",
	}, env...)
	return cmd
}
