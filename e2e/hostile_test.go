package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// A story is a locked bucket with backups in it, and somebody who may write to it and means harm.
type story struct {
	server      *lab.S3
	bucket, url string
	keys        keys
	trust       []string
	backups     []storyBackup
}

type storyBackup struct {
	ID     string `json:"id"`
	Sealed struct {
		Key  string `json:"key"`
		Size int64  `json:"size"`
	} `json:"sealed"`
	HashKV struct {
		Hash uint32 `json:"hash"`
	} `json:"hashkv"`
}

func (b storyBackup) payload() string  { return "etcd/" + b.Sealed.Key }
func (b storyBackup) manifest() string { return "etcd/v1/default/manifests/" + b.ID + ".note" }

// newStory makes three signed backups of different content in a bucket that locks everything for a day.
func newStory(t *testing.T, server *lab.S3, c *lab.Cluster) *story {
	t.Helper()
	s := &story{server: server, bucket: server.LockedBucket(t), keys: newKeys(t)}
	s.url = strings.Replace(server.SinkURL(s.bucket), "?", "/etcd?", 1)
	if _, err := server.Client().PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{
		Bucket: &s.bucket, ObjectLockConfiguration: &types.ObjectLockConfiguration{
			ObjectLockEnabled: types.ObjectLockEnabledEnabled,
			Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(1)}},
		},
	}); err != nil {
		t.Fatal(err)
	}
	signer := filepath.Join(t.TempDir(), "sign.key")
	lifeboat(t, "key", "new", "--signing", signer).must(t, 0)
	s.trust = []string{"--trusted-keys-file", signer + ".pub"}
	for i := range 3 {
		if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 100 + 50*i, Seed: uint64(i)}); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"backup", "--recipients-file", s.keys.recipients, "--signing-key-file", signer, "--sink", s.url, "-o", "json"}, etcdFlags(c)...)
		var b storyBackup
		decode(t, s.run(t, 0, args...).stdout, &b)
		s.backups = append(s.backups, b)
	}
	return s
}

// run runs lifeboat with the server's own credentials.
func (s *story) run(t *testing.T, code int, args ...string) ran {
	t.Helper()
	return lifeboatWith(t, []string{"AWS_SHARED_CREDENTIALS_FILE=" + s.server.CredentialsFile}, args...).must(t, code)
}

// reading is run for a command that reads.
func (s *story) reading(t *testing.T, code int, args ...string) ran {
	t.Helper()
	return s.run(t, code, append(append(args, "--sink", s.url), s.trust...)...)
}

func (s *story) put(t *testing.T, key string, body []byte) {
	t.Helper()
	if _, err := s.server.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
}

func (s *story) get(t *testing.T, key string) []byte {
	t.Helper()
	out, err := s.server.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func (s *story) hide(t *testing.T, key string) {
	t.Helper()
	if _, err := s.server.Client().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key}); err != nil {
		t.Fatal(err)
	}
}

// restores restores a backup, and compares HashKV with what the backup said when it was made.
func (s *story) restores(t *testing.T, selector string, want storyBackup) ran {
	t.Helper()
	r := s.reading(t, 0, "restore", selector, "--identity", s.keys.identity, "--out", filepath.Join(t.TempDir(), "out"), "-o", "json")
	var got struct {
		Plan struct {
			ID string `json:"id"`
		} `json:"plan"`
		HashKV uint32 `json:"hashkv"`
	}
	decode(t, r.stdout, &got)
	if got.HashKV != want.HashKV.Hash {
		t.Errorf("restore %s has the HashKV %d, the backup had %d\n%s", selector, got.HashKV, want.HashKV.Hash, r.stdout)
	}
	if strings.Contains(r.stderr, "payload ") {
		t.Errorf("restore %s warns of a payload, an older version of which it takes:\n%s", selector, r.stderr)
	}
	return r
}

func (s *story) listed(t *testing.T) (ids, hidden []string, stderr string) {
	t.Helper()
	r := s.reading(t, 0, "list", "-o", "json")
	var l struct {
		Backups []storyBackup `json:"backups"`
		Hidden  []string      `json:"hidden"`
	}
	decode(t, r.stdout, &l)
	for _, b := range l.Backups {
		ids = append(ids, b.ID)
	}
	return ids, l.Hidden, r.stderr
}

func says(t *testing.T, text string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// TestALockedBucketSurvivesWhoeverMeansHarm overwrites and hides with a plain S3 client all that can be, and restores everything.
func TestALockedBucketSurvivesWhoeverMeansHarm(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	for _, start := range []func(testing.TB) *lab.S3{func(t testing.TB) *lab.S3 { return lab.StartMinIO(t) }, lab.StartVersityGW} {
		server := start(t)
		t.Run(server.Name, func(t *testing.T) { newStory(t, server, c).unfold(t) })
	}
}

func (s *story) unfold(t *testing.T) {
	oldest, middle, newest := s.backups[0], s.backups[1], s.backups[2]
	all := []string{oldest.ID, middle.ID, newest.ID}
	s.lockHolds(t)
	s.pruned(t)

	garbage := make([]byte, newest.Sealed.Size)
	_, _ = rand.Read(garbage)
	s.put(t, newest.payload(), garbage)                      // of the same size
	s.put(t, newest.manifest(), []byte("{}\n"))              // no manifest at all
	s.put(t, middle.manifest(), s.get(t, oldest.manifest())) // signed, and of another backup
	s.put(t, middle.payload(), s.get(t, oldest.payload()))

	ids, _, stderr := s.listed(t)
	if !slices.Equal(ids, all) {
		t.Errorf("listed are %q, want %q", ids, all)
	}
	says(t, stderr, newest.ID+".note", middle.ID+".note", "not authentic", "somebody has overwritten it")
	r := s.reading(t, 7, "verify", "latest")
	says(t, r.stdout+r.stderr, "somebody has overwritten or hidden it", "which is whole", "(version ")
	r = s.reading(t, 7, "verify", "latest", "--deep", "--identity", s.keys.identity)
	says(t, r.stdout+r.stderr, "which is whole", "(version ")
	s.pruned(t)
	says(t, s.restores(t, "latest", newest).stdout, "(version ")
	s.restores(t, middle.ID, middle)
	s.restores(t, oldest.ID, oldest)

	for _, b := range []storyBackup{oldest, newest} {
		s.hide(t, b.manifest())
		s.hide(t, b.payload())
	}
	ids, hidden, stderr := s.listed(t)
	if !slices.Equal(ids, all[1:2]) || !slices.Equal(hidden, []string{oldest.ID, newest.ID}) {
		t.Errorf("with two hidden, listed are %q, hidden %q", ids, hidden)
	}
	says(t, stderr, fmt.Sprintf("2 backups are hidden behind delete markers in %s", s.url[:20]), "the newest is "+newest.ID)
	s.pruned(t)
	says(t, s.restores(t, newest.ID, newest).stderr, "hidden behind a delete marker")
	s.restores(t, oldest.ID, oldest)
	s.hide(t, middle.manifest())
	r = s.reading(t, 6, "restore", "latest", "--cluster", "default", "--identity", s.keys.identity, "--out", filepath.Join(t.TempDir(), "out"))
	says(t, r.stderr, "3 are hidden behind delete markers, the newest is "+newest.ID)
}

// pruned runs the most thorough prune there is; what it may not remove is no failure, and all of it stays.
func (s *story) pruned(t *testing.T) {
	t.Helper()
	before := countVersions(t, s.server, s.bucket)
	s.reading(t, 0, "prune", "--last", "1", "--floor", "1", "--apply", "--all")
	if after := countVersions(t, s.server, s.bucket); after < before {
		t.Errorf("prune took %d of %d objects, versions and markers from a locked bucket", before-after, before)
	}
}

// lockHolds tries to remove every version there is.
func (s *story) lockHolds(t *testing.T) {
	t.Helper()
	tried := 0
	pages := s3.NewListObjectVersionsPaginator(s.server.Client(), &s3.ListObjectVersionsInput{Bucket: &s.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Versions {
			tried++
			if _, err := s.server.Client().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &s.bucket, Key: v.Key, VersionId: v.VersionId}); err == nil {
				t.Errorf("the lock let %s be removed", *v.Key)
			}
		}
	}
	if tried < 6 {
		t.Errorf("there are only %d versions of three backups", tried)
	}
}
