package lab

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// StartVersityGW starts a VersityGW server on a directory, with versioning. It answers more like AWS than MinIO does in what
// goes wrong, so that what passes on both has not learned one server's habits.
func StartVersityGW(t testing.TB) *S3 {
	t.Helper()
	binary := Tool(t, "versitygw", "versitygw")
	dir := Dir(t)
	v := newS3(t, "VersityGW", "127.0.0.1", dir)
	versions := filepath.Join(dir, "versions")
	for _, made := range []string{v.Dir, versions} {
		if err := os.Mkdir(made, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(binary, "--port", v.address(), "--region", Region, "--health", "/healthy", "--quiet", "posix", "--versioning-dir", versions, v.Dir)
	cmd.Dir = dir
	cmd.Env = []string{
		"HOME=" + dir,
		"ROOT_ACCESS_KEY=" + v.AccessKey,
		"ROOT_SECRET_KEY=" + v.SecretKey,
	}
	v.serve(t, cmd, "/healthy", http.StatusOK)
	return v
}
