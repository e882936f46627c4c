package lab

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/member"
)

// Region is what the S3 servers of the lab call theirs.
const Region = "us-east-1"

// A MinIO is a running MinIO server, ended with the test that started it.
type MinIO struct {
	URL                  string // http://127.0.0.1:PORT
	AccessKey, SecretKey string
	CredentialsFile      string // both keys, in the form AWS's tools read
	Dir                  string // what it stores
}

// StartMinIO starts a MinIO server and returns when it serves, in less than a second. Every call starts one of its own, so
// that tests share nothing; subtests may share their parent's.
func StartMinIO(t testing.TB) *MinIO {
	t.Helper()
	binary := Tool(t, "minio", "minio")
	dir := Dir(t)
	ports, err := member.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	m := &MinIO{
		URL:             "http://" + address,
		AccessKey:       "lab-" + rand.Text()[:12],
		SecretKey:       rand.Text(),
		CredentialsFile: filepath.Join(dir, "credentials"),
		Dir:             filepath.Join(dir, "data"),
	}
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", m.AccessKey, m.SecretKey)
	if err := os.WriteFile(m.CredentialsFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "minio.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(binary, "server", "--quiet", "--address", address, m.Dir)
	cmd.Env = []string{
		"HOME=" + dir,
		"MINIO_ROOT_USER=" + m.AccessKey,
		"MINIO_ROOT_PASSWORD=" + m.SecretKey,
		"MINIO_UPDATE=off",
		"MINIO_BROWSER=off",
	}
	cmd.Stdout, cmd.Stderr = log, log
	exit, err := child.Start(cmd)
	if err != nil {
		t.Fatalf("start MinIO: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		<-exit
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	m.await(t, ended, log.Name())
	return m
}

func (m *MinIO) await(t testing.TB, ended <-chan struct{}, log string) {
	t.Helper()
	for deadline := time.Now().Add(ready); ; {
		resp, err := http.Get(m.URL + "/minio/health/ready")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("status %s", resp.Status)
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(log)
			t.Fatalf("MinIO ended: %s", text)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("MinIO does not serve after %v: %v", ready, err)
		}
	}
}

// Client returns a client with the server's root credentials.
func (m *MinIO) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(m.URL),
		Region:       Region,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(m.AccessKey, m.SecretKey, ""),
	})
}

// Bucket creates a bucket of a name nobody else uses and returns the name.
func (m *MinIO) Bucket(t testing.TB) string {
	t.Helper()
	name := "lab-" + strings.ToLower(rand.Text()[:16])
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	if _, err := m.Client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	return name
}

// SinkURL is how a bucket of this server is named to Lifeboat, without a prefix.
func (m *MinIO) SinkURL(bucket string) string {
	return fmt.Sprintf("s3://%s?endpoint=%s&region=%s&path-style=true", bucket, m.URL, Region)
}
