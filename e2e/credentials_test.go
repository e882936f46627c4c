package e2e

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// A guarded bucket is a versioned one with a backup in it that was made by a writer, and credentials with exactly the policies that
// `lifeboat sink policy` prints.
type guarded struct {
	minio                    *lab.S3
	bucket, url              string
	cluster                  *lab.Cluster
	keys                     keys
	writer, pruner, restorer lab.Restricted
	manifest, payload        string // keys of the backup's objects, the prefix included
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{minio: lab.StartMinIO(t), keys: newKeys(t)}
	g.bucket = g.minio.VersionedBucket(t)
	g.url = strings.Replace(g.minio.SinkURL(g.bucket), "?", "/team/etcd?", 1)
	for role, at := range map[string]*lab.Restricted{"writer": &g.writer, "pruner": &g.pruner, "restorer": &g.restorer} {
		*at = g.minio.Restricted(t, lifeboat(t, "sink", "policy", g.url, "--role", role).must(t, 0).stdout)
	}
	g.cluster = lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	if _, err := kubedata.Fill(t.Context(), g.cluster.Client(t), kubedata.Options{Keys: 200, Seed: 5}); err != nil {
		t.Fatal(err)
	}
	var b struct {
		ID     string `json:"id"`
		Sealed struct {
			Key string `json:"key"`
		} `json:"sealed"`
	}
	decode(t, lifeboatWith(t, g.writer.Env, g.backup()...).must(t, 0).stdout, &b)
	g.payload, g.manifest = "team/etcd/"+b.Sealed.Key, "team/etcd/v1/default/manifests/"+b.ID+".note"
	return g
}

func (g *guarded) backup() []string {
	return append([]string{"backup", "--recipients-file", g.keys.recipients, "--sink", g.url, "-o", "json"}, etcdFlags(g.cluster)...)
}

// denied fails the test unless the store forbade it.
func denied(t *testing.T, what string, err error) {
	t.Helper()
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() != http.StatusForbidden {
		t.Errorf("%s: not forbidden: %v", what, err)
	}
}

// cannotRemove tries everything by which a backup could be taken away.
func (g *guarded) cannotRemove(t *testing.T, c *s3.Client) {
	t.Helper()
	ctx := t.Context()
	for _, key := range []string{g.manifest, g.payload} {
		head, err := g.minio.Client().HeadObject(ctx, &s3.HeadObjectInput{Bucket: &g.bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &g.bucket, Key: &key})
		denied(t, "delete "+key, err)
		_, err = c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &g.bucket, Key: &key, VersionId: head.VersionId})
		denied(t, "delete the version of "+key, err)
		many, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &g.bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: &key}}}})
		if err == nil && len(many.Errors) != 1 {
			t.Errorf("delete %s among several: %+v", key, many)
		}
	}
	_, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: &g.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended},
	})
	denied(t, "suspend versioning", err)
	_, err = c.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{
		Bucket: &g.bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
			ID: aws.String("all"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")},
			Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)},
		}}},
	})
	denied(t, "let everything expire", err)
	_, err = c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &g.bucket})
	denied(t, "delete the bucket", err)
	_, err = c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &g.bucket, Policy: aws.String(`{"Version":"2012-10-17","Statement":[]}`)})
	denied(t, "write a bucket policy", err)
}

// cannotPut tries to put something new and something in the place of the backup.
func (g *guarded) cannotPut(t *testing.T, c *s3.Client) {
	t.Helper()
	for _, key := range []string{g.manifest, "team/etcd/new"} {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &g.bucket, Key: &key, Body: strings.NewReader("x")})
		denied(t, "put "+key, err)
	}
}

// TestCredentialsWithThePrintedPoliciesDoTheirJobAndNoMore uses the policies that are printed, on a real server.
func TestCredentialsWithThePrintedPoliciesDoTheirJobAndNoMore(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	t.Run("AWriterBacksUpAndCannotDestroy", func(t *testing.T) {
		lifeboatWith(t, g.writer.Env, g.backup()...).must(t, 0)
		g.cannotRemove(t, g.writer.Client)
		outside := "team/other"
		_, err := g.writer.Client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &g.bucket, Key: &outside, Body: strings.NewReader("x")})
		denied(t, "put beside the prefix", err)
		_, err = g.writer.Client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &g.bucket})
		denied(t, "list beside the prefix", err)
	})
	t.Run("ARestorerReadsAndChangesNothing", func(t *testing.T) {
		env := g.restorer.Env
		lifeboatWith(t, env, "list", "--sink", g.url).must(t, 0)
		lifeboatWith(t, env, "verify", "latest", "--deep", "--identity", g.keys.identity, "--sink", g.url).must(t, 0)
		lifeboatWith(t, env, "restore", "latest", "--identity", g.keys.identity, "--sink", g.url, "--out", filepath.Join(t.TempDir(), "out")).must(t, 0)
		g.cannotRemove(t, g.restorer.Client)
		g.cannotPut(t, g.restorer.Client)
	})
	t.Run("SinkCheckTellsAWriterWhatStays", func(t *testing.T) {
		r := lifeboatWith(t, g.writer.Env, "sink", "check", g.url).must(t, 0)
		for _, want := range []string{"ok       this credential cannot delete", "unknown  deleting ", "unknown  versioning ", "needs s3:GetBucketVersioning"} {
			if !strings.Contains(r.stdout, want) {
				t.Errorf("%q is not in\n%s", want, r.stdout)
			}
		}
		if !strings.Contains(r.stderr, "objects (5.") || !strings.Contains(r.stderr, "lifeboat-check/") {
			t.Errorf("what stays is not told:\n%s", r.stderr)
		}
	})
	t.Run("SinkCheckRemovesByAnotherCredential", func(t *testing.T) {
		before := g.count(t)
		r := lifeboatWith(t, g.writer.Env, "sink", "check", g.url, "--remover-credentials-file", g.minio.CredentialsFile).must(t, 0)
		if strings.Contains(r.stderr, "stay in") || strings.Contains(r.stdout, "not tested") {
			t.Errorf("stdout:\n%s\nstderr:\n%s", r.stdout, r.stderr)
		}
		if after := g.count(t); after != before {
			t.Errorf("there were %d objects, versions and markers in the bucket, now there are %d", before, after)
		}
	})
	t.Run("APrunerRemovesAndPutsNothing", func(t *testing.T) {
		g.cannotPut(t, g.pruner.Client)
		for _, key := range []string{g.manifest, g.payload} {
			head, err := g.pruner.Client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &g.bucket, Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := g.pruner.Client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &g.bucket, Key: &key, VersionId: head.VersionId}); err != nil {
				t.Errorf("delete %s: %v", key, err)
			}
		}
		r := lifeboatWith(t, g.pruner.Env, "list", "--sink", g.url, "-o", "json").must(t, 0)
		if strings.Contains(r.stdout, filepath.Base(g.payload)) {
			t.Errorf("it is still listed:\n%s", r.stdout)
		}
	})
}

// count counts everything a bucket keeps, what is overwritten or hidden too.
func (g *guarded) count(t *testing.T) (n int) {
	t.Helper()
	pages := s3.NewListObjectVersionsPaginator(g.minio.Client(), &s3.ListObjectVersionsInput{Bucket: &g.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Versions) + len(page.DeleteMarkers)
	}
	return n
}
