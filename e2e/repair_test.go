package e2e

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestWhatAStoreMissedIsMadeUpForByTheNextBackup is the story of a second site that was not there for two backups.
func TestWhatAStoreMissedIsMadeUpForByTheNextBackup(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Members: 1, Version: "3.6"})
	if _, err := c.Client(t).Put(t.Context(), "key", "value"); err != nil {
		t.Fatal(err)
	}
	minio, k := lab.StartMinIO(t), newKeys(t)
	bucket := "comes-later"
	env := []string{"AWS_ACCESS_KEY_ID=" + minio.AccessKey, "AWS_SECRET_ACCESS_KEY=" + minio.SecretKey}
	first, second := "file://"+t.TempDir(), minio.SinkURL(bucket)
	backup := append([]string{"backup", "--recipients-file", k.recipients, "--sink", first, "--sink", second}, etcdFlags(c)...)
	for range 2 {
		if r := lifeboatWith(t, env, backup...).must(t, 3); !strings.Contains(r.stderr, "the next backup makes up for this one") {
			t.Errorf("with the second sink away:\n%s", r.stderr)
		}
	}
	if _, err := minio.Client().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	r := lifeboatWith(t, env, append(backup, "-o", "json")...).must(t, 0)
	var made struct {
		Repaired []struct {
			ID   string `json:"id"`
			Sink string `json:"sink"`
			OK   bool   `json:"ok"`
		} `json:"repaired"`
	}
	decode(t, r.stdout, &made)
	if len(made.Repaired) != 2 || !made.Repaired[0].OK || !made.Repaired[1].OK || made.Repaired[0].ID == made.Repaired[1].ID || !strings.HasPrefix(made.Repaired[0].Sink, "s3://comes-later") {
		t.Errorf("with the second sink back: %s", r.stdout)
	}
	for _, id := range []string{made.Repaired[0].ID, made.Repaired[1].ID, "latest"} {
		lifeboatWith(t, env, "verify", id, "--deep", "--identity", k.identity, "--sink", second, "--no-report").must(t, 0)
	}
	if r := lifeboatWith(t, env, backup...).must(t, 0); strings.Contains(r.stdout, "had missed") {
		t.Errorf("the run after that repairs again:\n%s", r.stdout)
	}
}
