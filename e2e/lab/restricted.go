package lab

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// A Restricted credential is allowed what its policy says, and nothing else.
type Restricted struct {
	Env    []string // for a process that is to use it
	Client *s3.Client
}

// Restricted makes a temporary credential that a MinIO server holds to an IAM policy; it lasts for an hour.
func (s *S3) Restricted(t testing.TB, policy string) Restricted {
	t.Helper()
	root := sts.New(sts.Options{
		BaseEndpoint: aws.String(s.URL),
		Region:       Region,
		Credentials:  credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
	})
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	out, err := root.AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::000000000000:role/any"), RoleSessionName: aws.String("lab"), // MinIO looks at neither
		Policy: &policy, DurationSeconds: aws.Int32(3600),
	})
	if err != nil {
		t.Fatalf("a credential for the policy %s: %v", policy, err)
	}
	c := out.Credentials
	return Restricted{
		Env: []string{
			fmt.Sprintf("AWS_ACCESS_KEY_ID=%s", *c.AccessKeyId), fmt.Sprintf("AWS_SECRET_ACCESS_KEY=%s", *c.SecretAccessKey),
			fmt.Sprintf("AWS_SESSION_TOKEN=%s", *c.SessionToken),
		},
		Client: s3.New(s3.Options{
			BaseEndpoint: aws.String(s.URL), Region: Region, UsePathStyle: true,
			Credentials: credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken),
		}),
	}
}
