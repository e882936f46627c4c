package lab_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

func TestMain(m *testing.M) { lab.Main(m, nil) }

func TestClusterOfEveryVersionServesAndAKilledMemberRejoins(t *testing.T) {
	for _, version := range lab.Versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := lab.StartCluster(t, lab.ClusterOptions{Version: version, TLS: true, Names: []string{"alpha", "beta", "gamma"}})
			cli := c.Client(t)
			if _, err := cli.Put(t.Context(), "before", "1"); err != nil {
				t.Fatal(err)
			}
			c.Kill(t, 1)
			c.Await(t, 0, 2)
			put, err := cli.Put(t.Context(), "meanwhile", "2")
			if err != nil {
				t.Fatal(err)
			}
			c.Start(t, 1)
			hashes := c.HashKV(t, put.Header.Revision)
			for name, hash := range hashes {
				if hash != hashes["alpha"] {
					t.Errorf("member %s has %+v, member alpha %+v", name, hash, hashes["alpha"])
				}
			}
			if len(hashes) != 3 {
				t.Errorf("%d members, want 3", len(hashes))
			}
		})
	}
}

func TestClusterWithAuthenticationServesRoot(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Members: 1, Auth: true, QuotaBytes: 64 << 20})
	cli := c.Client(t)
	if _, err := cli.Put(t.Context(), "key", "value"); err != nil {
		t.Error(err)
	}
	stranger, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Get(t.Context(), "key"); err == nil {
		t.Error("a client without a password may read")
	}
	c.Stop(t, 0)
	c.Start(t, 0)
	c.HashKV(t, 0)
}

func TestS3ServersStoreInFreshBuckets(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func() *lab.S3{
		"MinIO":     func() *lab.S3 { return lab.StartMinIO(t) },
		"VersityGW": func() *lab.S3 { return lab.StartVersityGW(t) },
	} {
		server := start()
		if server.Name != name {
			t.Errorf("%s calls itself %s", name, server.Name)
		}
		bucket := server.Bucket(t)
		if other := server.Bucket(t); other == bucket {
			t.Errorf("bucket %s was given twice", bucket)
		}
		for _, bucket := range []string{bucket, server.VersionedBucket(t), server.LockedBucket(t)} {
			storesAndReads(t, server, bucket)
		}
	}
}

func storesAndReads(t *testing.T, server *lab.S3, bucket string) {
	t.Helper()
	cli := server.Client()
	_, err := cli.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: strings.NewReader("v")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := cli.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if text, err := io.ReadAll(got.Body); string(text) != "v" || err != nil {
		t.Errorf("read back %q, %v", text, err)
	}
}

func TestGCSServerStoresInAFreshBucket(t *testing.T) {
	t.Parallel()
	server := lab.StartGCS(t)
	bucket := server.Bucket(t)
	if other := server.Bucket(t); other == bucket {
		t.Errorf("bucket %s was given twice", bucket)
	}
	resp, err := http.Post(server.URL+"/upload/storage/v1/b/"+bucket+"/o?uploadType=media&name=k", "text/plain", strings.NewReader("v"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	got, err := http.Get(server.URL + "/storage/v1/b/" + bucket + "/o/k?alt=media")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if text, err := io.ReadAll(got.Body); string(text) != "v" || err != nil {
		t.Errorf("read back %q, %v", text, err)
	}
}
