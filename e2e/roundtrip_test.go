package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// hashAt is what a member answers to HashKV.
type hashAt struct {
	hash    uint32
	compact int64
}

// TestEveryMemberOfEveryVersionComesBackFromTheBucket is the main job: a TLS cluster of each version goes into a directory and into MinIO, and comes back by one run
// and by a run for each member, under other names, ports and peer scheme than the source's, with the source's HashKV.
func TestEveryMemberOfEveryVersionComesBackFromTheBucket(t *testing.T) {
	minio := lab.StartMinIO(t)
	for _, version := range []string{"3.5", "3.6", "3.7"} {
		t.Run(version, func(t *testing.T) {
			source := lab.StartCluster(t, lab.ClusterOptions{Version: version, TLS: true})
			_, err := kubedata.Fill(t.Context(), source.Client(t), kubedata.Options{Keys: 2000, Seed: 5, Leases: 20, Churn: 400, Compact: true})
			if err != nil {
				t.Fatal(err)
			}
			k := newKeys(t)
			env := []string{"AWS_ACCESS_KEY_ID=" + minio.AccessKey, "AWS_SECRET_ACCESS_KEY=" + minio.SecretKey}
			directory := "file://" + t.TempDir()
			bucket := fmt.Sprintf("s3://%s/etcd?endpoint=%s&region=us-east-1", minio.Bucket(t), url.QueryEscape(minio.URL))
			backup := lifeboatWith(t, env, append([]string{
				"backup", "--recipients-file", k.recipients, "--sink", directory, "--sink", bucket, "-o", "json",
			}, etcdFlags(source)...)...).must(t, 0)
			var b struct {
				ID       string `json:"id"`
				Revision int64  `json:"revision"`
			}
			decode(t, backup.stdout, &b)
			want := askHashes(t, source.Client(t), source.Endpoints(), b.Revision)

			t.Run("one run from MinIO", func(t *testing.T) {
				dir := t.TempDir()
				r := restored(t, env, "restore", b.ID, "--sink", bucket, "--identity", k.identity, "--no-bump",
					"--out", filepath.Join(dir, "out"), "--initial-cluster", newNames(t, 3))
				sameHash(t, boot(t, version, r), b.Revision, want)
			})
			t.Run("a run for each member from the directory", func(t *testing.T) {
				dir, cluster := t.TempDir(), newNames(t, 3)
				var all restoredCluster
				for i, name := range []string{"node-a", "node-b", "node-c"} {
					r := restored(t, nil, "restore", b.ID, "--sink", directory, "--identity", k.identity, "--no-bump",
						"--member", name, "--data-dir", filepath.Join(dir, fmt.Sprint(i), "etcd"), "--initial-cluster", cluster)
					if len(r.Members) != 1 || r.Members[0].Name != name {
						t.Fatalf("--member %s made %v", name, r.Members)
					}
					all.Members = append(all.Members, r.Members...)
				}
				sameHash(t, boot(t, version, all), b.Revision, want)
			})
			t.Run("with the bump", func(t *testing.T) {
				head := headOf(t, source.Client(t))
				r := restored(t, nil, "restore", b.ID, "--sink", directory, "--identity", k.identity,
					"--out", filepath.Join(t.TempDir(), "out"), "--initial-cluster", newNames(t, 3))
				bumped(t, boot(t, version, r), b.Revision, head)
			})
		})
	}
}

// TestA34SnapshotFileComesBackOnNewerServers restores the checked-in snapshot of etcd 3.4, which is a local file of no bucket.
func TestA34SnapshotFileComesBackOnNewerServers(t *testing.T) {
	file, want := lab.Snapshot34(t)
	said := lifeboat(t, "restore", file, "--no-bump", "--out", filepath.Join(t.TempDir(), "out"), "--initial-cluster", newNames(t, 1)).must(t, 0).stdout
	mustSay(t, "restore of a file", said, fmt.Sprintf(`(?m)^HashKV %d .* is that of the file as it came`, want.HashKV))
	for _, version := range []string{"3.5", "3.6", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			r := restored(t, nil, "restore", file, "--no-bump", "--out", filepath.Join(t.TempDir(), "out"), "--initial-cluster", newNames(t, 3))
			got := boot(t, version, r)
			sameHash(t, got, want.Revision, map[string]hashAt{"the 3.4 server": {want.HashKV, want.CompactRevision}})
		})
	}
}

// restoredCluster is what `restore -o json` says it made.
type restoredCluster struct {
	Members []struct {
		Name    string   `json:"name"`
		DataDir string   `json:"data_dir"`
		Flags   []string `json:"flags"`
	} `json:"members"`
}

func restored(t *testing.T, env []string, args ...string) restoredCluster {
	t.Helper()
	var r restoredCluster
	decode(t, lifeboatWith(t, env, append(args, "-o", "json")...).must(t, 0).stdout, &r)
	return r
}

func decode(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
}

// newNames is a value for --initial-cluster: other names, ports and peer scheme (http) than the source's.
func newNames(t *testing.T, n int) string {
	t.Helper()
	return newCluster(t, "http", "node", n)
}

// boot starts etcd of the version on every restored directory with exactly the flags that were printed, but for the client URLs, which the manifest
// knows only for the source's own members, and returns a client of all.
func boot(t *testing.T, version string, r restoredCluster) *clientv3.Client {
	t.Helper()
	ports := lab.FreePorts(t, len(r.Members))
	var endpoints []string
	for i, m := range r.Members {
		client := fmt.Sprintf("http://127.0.0.1:%d", ports[i])
		endpoints = append(endpoints, client)
		startPrinted(t, version, m.Name, append(slices.Clone(m.Flags), "--listen-client-urls", client, "--advertise-client-urls", client)...)
	}
	return awaitAll(t, nil, endpoints...)
}

// startPrinted starts etcd on flags that a restore has printed, until the end of the test or until it is killed.
func startPrinted(t *testing.T, version, name string, flags ...string) (kill func()) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(lab.Tool(t, "etcd-"+version, "etcd"), flags...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			tail, _ := os.ReadFile(log.Name())
			t.Logf("%s: %s", name, tail[max(0, len(tail)-2000):])
		}
		log.Close()
	})
	return kill
}

// awaitAll returns a client of all these members once each answers a linearizable read.
func awaitAll(t *testing.T, tls *tls.Config, endpoints ...string) *clientv3.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dial := func(endpoints ...string) *clientv3.Client {
		c, err := clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: tls, DialTimeout: 30 * time.Second, Logger: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	for _, e := range endpoints {
		for one := dial(e); ; time.Sleep(100 * time.Millisecond) {
			try, stop := context.WithTimeout(ctx, 2*time.Second)
			_, err := one.Get(try, "x")
			stop()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%s of the restored cluster does not serve: %v", e, err)
			}
		}
	}
	return dial(endpoints...)
}

// askHashes asks every endpoint for its HashKV at rev.
func askHashes(t *testing.T, c *clientv3.Client, endpoints []string, rev int64) map[string]hashAt {
	t.Helper()
	all := map[string]hashAt{}
	for _, e := range endpoints {
		answer, err := lab.HashKV(t.Context(), c, e, rev)
		if err != nil {
			t.Fatalf("HashKV of %s: %v", e, err)
		}
		all[e] = hashAt{answer.Hash, answer.CompactRevision}
	}
	return all
}

func sameHash(t *testing.T, c *clientv3.Client, rev int64, want map[string]hashAt) {
	t.Helper()
	expected := slices.Collect(maps.Values(want))[0]
	for e, got := range want {
		if got != expected {
			t.Fatalf("the source's own members differ: %s %+v, another %+v", e, got, expected)
		}
	}
	for e, got := range askHashes(t, c, c.Endpoints(), rev) {
		if got != expected {
			t.Errorf("%s answers HashKV %+v at revision %d, the source %+v", e, got, rev, expected)
		}
	}
	if _, err := c.Put(t.Context(), "lifeboat/canary", "serves"); err != nil {
		t.Errorf("the restored cluster takes no write: %v", err)
	}
}

func headOf(t *testing.T, c *clientv3.Client) int64 {
	t.Helper()
	answer, err := c.Get(t.Context(), "x", clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	return answer.Header.Revision
}

// bumped checks that a watch from before the backup is told to start afresh, and that new revisions lie above the source's.
func bumped(t *testing.T, c *clientv3.Client, rev, head int64) {
	t.Helper()
	w := <-c.Watch(t.Context(), "/registry/", clientv3.WithPrefix(), clientv3.WithRev(rev))
	if w.Err() != rpctypes.ErrCompacted {
		t.Errorf("a watch from revision %d got %v, want compacted", rev, w.Err())
	}
	put, err := c.Put(t.Context(), "lifeboat/canary", "serves")
	if err != nil {
		t.Fatal(err)
	}
	if put.Header.Revision <= head {
		t.Errorf("a new write has revision %d, not above the source's head %d", put.Header.Revision, head)
	}
	if n := countKeys(t, c); n == 0 {
		t.Error("the restored cluster has no key")
	}
}

func countKeys(t *testing.T, c *clientv3.Client) int64 {
	t.Helper()
	answer, err := c.Get(t.Context(), "/registry/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	return (*pb.RangeResponse)(answer).Count
}
