package lab

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Region is what the S3 servers of the lab call theirs.
const Region = "us-east-1"

// An S3 is a running server that speaks S3, ended with the test that started it.
type S3 struct {
	Name                 string // of the product, such as MinIO
	URL                  string // http://HOST:PORT
	AccessKey, SecretKey string // of its root
	CredentialsFile      string // both keys, in the form AWS's tools read
	Dir                  string // what it stores
}

// newS3 finds a port, makes up keys and writes them down. What the server writes goes below dir.
func newS3(t testing.TB, name, host, dir string) *S3 {
	t.Helper()
	s, err := makeS3(name, host, FreePorts(t, 1)[0], dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func makeS3(name, host string, port int, dir string) (*S3, error) {
	s := &S3{
		Name:            name,
		URL:             fmt.Sprintf("http://%s:%d", host, port),
		AccessKey:       "lab-" + rand.Text()[:12],
		SecretKey:       rand.Text(),
		Dir:             filepath.Join(dir, "data"),
		CredentialsFile: filepath.Join(dir, "credentials"),
	}
	return s, writeCredentials(s.CredentialsFile, s.AccessKey, s.SecretKey, "")
}

func (s *S3) address() string { return strings.TrimPrefix(s.URL, "http://") }

// WriteCredentials writes an AWS shared credentials file with the profile "default", all at once as whoever rotates credentials
// should, and returns its name. The session token may be empty.
func WriteCredentials(t testing.TB, file, access, secret, session string) string {
	t.Helper()
	if err := writeCredentials(file, access, secret, session); err != nil {
		t.Fatal(err)
	}
	return file
}

func writeCredentials(file, access, secret, session string) error {
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", access, secret)
	if session != "" {
		text += "aws_session_token = " + session + "\n"
	}
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// serve starts the server and returns when the path answers with the status.
func (s *S3) serve(t testing.TB, cmd *exec.Cmd, path string, status int) {
	t.Helper()
	serve(t, s.Name, cmd, s.logFile(), s.URL+path, status)
}

func (s *S3) logFile() string { return filepath.Join(filepath.Dir(s.Dir), "server.log") }

// Client returns a client with the server's root credentials.
func (s *S3) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.URL),
		Region:       Region,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
	})
}

// Bucket creates a bucket of a name nobody else uses and returns the name.
func (s *S3) Bucket(t testing.TB) string {
	t.Helper()
	return s.bucket(t, false)
}

// LockedBucket creates a bucket with object lock, and therefore versioning, but without a default retention.
func (s *S3) LockedBucket(t testing.TB) string {
	t.Helper()
	return s.bucket(t, true)
}

// VersionedBucket creates a bucket that keeps old versions.
func (s *S3) VersionedBucket(t testing.TB) string {
	t.Helper()
	name := s.bucket(t, false)
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	if _, err := s.Client().PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: &name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}); err != nil {
		t.Fatalf("turn on versioning: %v", err)
	}
	return name
}

func (s *S3) bucket(t testing.TB, locked bool) string {
	t.Helper()
	name := "lab-" + strings.ToLower(rand.Text()[:16])
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	if _, err := s.Client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: &locked}); err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	return name
}

// SinkURL is how a bucket of this server is named to Lifeboat, without a prefix.
func (s *S3) SinkURL(bucket string) string {
	return fmt.Sprintf("s3://%s?endpoint=%s&region=%s&path-style=true", bucket, s.URL, Region)
}
