package main

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/member"
)

// store is a MinIO that backups go to.
type store struct {
	*lab.S3
	pid  int
	stop func()
}

func startStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ports, err := member.FreePorts(1)
	if err != nil {
		return nil, err
	}
	m, pid, stop, err := lab.LaunchMinIO(ports[0], dir)
	return &store{S3: m, pid: pid, stop: stop}, err
}

// with gives a command the credentials.
func (s *store) with(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(os.Environ(), "AWS_SHARED_CREDENTIALS_FILE="+s.CredentialsFile, "AWS_REGION="+lab.Region)
	return cmd
}

func (s *store) create(ctx context.Context) (bucket string, err error) {
	bucket = "bench-" + strings.ToLower(rand.Text()[:16])
	_, err = s.Client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket})
	return bucket, err
}

func (s *store) objects(ctx context.Context, bucket string) (all []types.Object, err error) {
	pages := s3.NewListObjectsV2Paginator(s.Client(), &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Contents...)
	}
	return all, nil
}

// size is how many bytes a bucket holds.
func (s *store) size(ctx context.Context, bucket string) (n int64, err error) {
	all, err := s.objects(ctx, bucket)
	for _, o := range all {
		n += *o.Size
	}
	return n, err
}

func (s *store) remove(ctx context.Context, bucket string) error {
	all, err := s.objects(ctx, bucket)
	if err != nil {
		return err
	}
	for _, o := range all {
		if _, err := s.Client().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: o.Key}); err != nil {
			return err
		}
	}
	_, err = s.Client().DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	return err
}
