package restore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

var realVersions = []string{"3.5", "3.6", "3.7"}

// TestRestoredMembersServeWithEqualHash restores three members of every version's snapshot, with other names, ports and peer scheme
// than the source had, in one run and in three runs, and asks the booted members for their HashKV.
func TestRestoredMembersServeWithEqualHash(t *testing.T) {
	t.Parallel()
	for _, version := range realVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			source := lab.StartCluster(t, lab.ClusterOptions{Version: version, Members: 3, TLS: true})
			stats := populate(t, source.Client(t), 400)
			path := lab.SaveSnapshot(t, source.Client(t))
			src := fileSource(t, path)
			if src.Revision != stats.Revision {
				t.Fatalf("the snapshot is at revision %d, the cluster at %d", src.Revision, stats.Revision)
			}
			for name, h := range source.HashKV(t, src.Hash.Revision) {
				if h.Hash != src.Hash.Hash {
					t.Fatalf("source member %s has HashKV %08x, its snapshot %08x", name, h.Hash, src.Hash.Hash)
				}
			}
			restoreBothWays(t, version, src)
		})
	}
}

func TestRestoresASnapshotOfEtcd34(t *testing.T) {
	t.Parallel()
	path, want := lab.Snapshot34(t)
	src := fileSource(t, path)
	if src.Hash.Hash != want.HashKV || src.Revision != want.Revision {
		t.Fatalf("the file is %+v at %d, expected %+v", src.Hash, src.Revision, want)
	}
	for _, version := range realVersions {
		t.Run(version, func(t *testing.T) { restoreBothWays(t, version, src) })
	}
}

func restoreBothWays(t *testing.T, version string, src Source) {
	t.Helper()
	t.Run("one run", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "out")
		plan := Plan{Source: src, Members: newMembers(t, "http", "alpha", "beta", "gamma"), Out: out, NoBump: true}
		res := mustRun(t, plan, Deps{})
		boot(t, version, res.Members...).wantHash(t, res.Hash)
	})
	t.Run("three runs", func(t *testing.T) {
		members := newMembers(t, "https", "alpha", "beta", "gamma")
		var made []MemberResult
		var hash snapshot.Hash
		for i, m := range members {
			dir := filepath.Join(t.TempDir(), fmt.Sprint("node", i), "etcd")
			res := mustRun(t, Plan{Source: src, Members: members, Only: m.Name, DataDir: dir, NoBump: true}, Deps{})
			made, hash = append(made, res.Members...), res.Hash
			if len(res.Others) != 2 {
				t.Errorf("%d commands for the two other nodes: %v", len(res.Others), res.Others)
			}
		}
		boot(t, version, made...).wantHash(t, hash)
	})
}

// TestMembersOfDifferentRunsFormOneCluster takes one member from a run that made all, and the others from runs of their own,
// as they would be made on other nodes, all from the sealed backup. Another attempt is another cluster.
func TestMembersOfDifferentRunsFormOneCluster(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	members := newMembers(t, "http", "a", "b", "c")
	p := s.plan(filepath.Join(t.TempDir(), "all"))
	p.Members = members
	all := mustRun(t, p, s.deps())
	made := []MemberResult{all.Members[0]}
	for _, name := range []string{"b", "c"} {
		p.Out, p.Only, p.DataDir = "", name, filepath.Join(t.TempDir(), "etcd")
		res := mustRun(t, p, s.deps())
		made = append(made, res.Members...)
		if res.ClusterID != all.ClusterID || res.Revision != all.Revision || res.Token != all.Token {
			t.Errorf("member %s is of cluster %x at %d, the others of %x at %d", name, res.ClusterID, res.Revision, all.ClusterID, all.Revision)
		}
	}
	b := boot(t, "3.6", made...)
	list, err := b.any.MemberList(t.Context())
	if err != nil || len(list.Members) != 3 || list.Header.ClusterId != all.ClusterID {
		t.Errorf("members %v of cluster %x: %v", list, all.ClusterID, err)
	}
	for _, m := range list.Members {
		i := slices.IndexFunc(all.Members, func(r MemberResult) bool { return r.Name == m.Name })
		if i < 0 || all.Members[i].ID != m.ID {
			t.Errorf("member %s has the id %x", m.Name, m.ID)
		}
	}
	p.Attempt, p.DataDir = 2, filepath.Join(t.TempDir(), "again")
	if again := mustRun(t, p, s.deps()); again.ClusterID == all.ClusterID || again.Members[0].ID == made[2].ID || again.Revision <= all.Revision {
		t.Errorf("the second attempt is %+v", again)
	}
}

// TestTheBumpTellsOldWatchersAndHidesThePast restores a cluster of Kubernetes with the default bump, and asks it what its clients
// would ask.
func TestTheBumpTellsOldWatchersAndHidesThePast(t *testing.T) {
	t.Parallel()
	for _, version := range realVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			source := lab.StartCluster(t, lab.ClusterOptions{Version: version, Members: 1})
			cli := source.Client(t)
			populate(t, cli, 300)
			path := lab.SaveSnapshot(t, cli)
			// The cluster goes on after its last backup: this is what its clients have seen.
			var head int64
			for range 5 {
				put, err := cli.Put(t.Context(), "/registry/configmaps/default/later", "x")
				if err != nil {
					t.Fatal(err)
				}
				head = put.Header.Revision
			}
			leases, err := cli.Leases(t.Context())
			if err != nil || len(leases.Leases) == 0 {
				t.Fatalf("the source has %v leases: %v", leases, err)
			}
			src := fileSource(t, path)
			res := mustRun(t, Plan{Source: src, Members: newMembers(t, "http", "a", "b", "c"), Out: filepath.Join(t.TempDir(), "out"), Head: head}, Deps{})
			if res.Revision != src.Revision+BumpStep {
				t.Errorf("the newest revision is %d, the backup's %d", res.Revision, src.Revision)
			}
			b := boot(t, version, res.Members...)
			for name, c := range b.clients {
				wantCompacted(t, name, c, src.Revision)
			}
			put, err := b.any.Put(t.Context(), "/registry/new", "y")
			if err != nil || put.Header.Revision <= head {
				t.Errorf("a new write gets revision %v, the source had reached %d: %v", put, head, err)
			}
			kept, err := b.any.Leases(t.Context())
			if err != nil || len(kept.Leases) != len(leases.Leases) {
				t.Errorf("%v leases of %d are kept: %v", kept, len(leases.Leases), err)
			}
			got, err := b.any.Get(t.Context(), "/registry/", clientv3.WithPrefix(), clientv3.WithCountOnly())
			if err != nil || got.Count != src.LiveKeys+1 {
				t.Errorf("it has %v keys, the backup %d: %v", got, src.LiveKeys, err)
			}
		})
	}
}

// wantCompacted watches from a revision of the past.
func wantCompacted(t *testing.T, name string, c *clientv3.Client, rev int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	select {
	case r := <-c.Watch(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithRev(rev)):
		if !errors.Is(r.Err(), rpctypes.ErrCompacted) || r.CompactRevision < rev+BumpStep {
			t.Errorf("member %s answers a watch from %d with %v, compacted at %d", name, rev, r.Err(), r.CompactRevision)
		}
	case <-ctx.Done():
		t.Errorf("member %s does not answer a watch from %d", name, rev)
	}
}

// TestAClusterThatWasFullTakesWritesAgain fills a cluster up to its quota and restores it with the printed one.
func TestAClusterThatWasFullTakesWritesAgain(t *testing.T) {
	t.Parallel()
	for _, version := range realVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			const limit = 16 << 20
			source := lab.StartCluster(t, lab.ClusterOptions{Version: version, Members: 1, QuotaBytes: limit})
			cli := source.Client(t)
			value := strings.Repeat("x", 1<<20)
			for i := 0; ; i++ {
				if _, err := cli.Put(t.Context(), fmt.Sprint("filling/", i), value); errors.Is(err, rpctypes.ErrNoSpace) {
					break
				} else if err != nil || i > 64 {
					t.Fatalf("put %d: %v", i, err)
				}
			}
			src := fileSource(t, lab.SaveSnapshot(t, cli))
			if len(src.Alarms) == 0 {
				t.Fatal("the snapshot holds no alarm")
			}
			src.Quota = limit
			res := mustRun(t, Plan{Source: src, Members: newMembers(t, "http", "a"), Out: filepath.Join(t.TempDir(), "out")}, Deps{})
			if !slices.ContainsFunc(res.Differences, func(d string) bool { return strings.Contains(d, "NOSPACE") }) {
				t.Errorf("the alarm is not among the differences: %q", res.Differences)
			}
			b := boot(t, version, res.Members...)
			alarms, err := b.any.AlarmList(t.Context())
			if err != nil || len(alarms.Alarms) > 0 {
				t.Errorf("alarms: %v, %v", alarms, err)
			}
			if _, err := b.any.Put(t.Context(), "more", value); err != nil {
				t.Errorf("write to the restored cluster: %v", err)
			}
		})
	}
}

func TestUsersStayAndARehearsalDoesWithoutThem(t *testing.T) {
	t.Parallel()
	source := lab.StartCluster(t, lab.ClusterOptions{Version: "3.7", Members: 1, Auth: true})
	src := fileSource(t, lab.SaveSnapshot(t, source.Client(t)))
	for _, drop := range []bool{false, true} {
		res := mustRun(t, Plan{Source: src, Members: newMembers(t, "http", "a"), Out: filepath.Join(t.TempDir(), "out"), DropAuth: drop}, Deps{})
		cmd := startMember(t, "3.7", res.Members[0].Flags)
		cli := dial(t, pki.Pair{}, flagValue(t, res.Members[0].Flags, "--advertise-client-urls"))
		deadline := time.Now().Add(bootTime)
		for {
			_, err := cli.Get(t.Context(), "x")
			if drop && err == nil || !drop && errors.Is(err, rpctypes.ErrUserEmpty) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("authentication dropped %v: %v", drop, err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		_ = cmd.Process.Kill()
	}
}

// TestASnapshotOf37StartsOn36OnlyWithoutItsMark has the refusal and its override decided by the server itself.
func TestASnapshotOf37StartsOn36OnlyWithoutItsMark(t *testing.T) {
	t.Parallel()
	source := lab.StartCluster(t, lab.ClusterOptions{Version: "3.7", Members: 1})
	populate(t, source.Client(t), 100)
	src := fileSource(t, lab.SaveSnapshot(t, source.Client(t)))
	p := Plan{Source: src, Members: newMembers(t, "http", "a", "b", "c"), Out: filepath.Join(t.TempDir(), "out"), EtcdVersion: "3.6", NoBump: true}
	var refusal *Refusal
	if _, err := Run(t.Context(), p, Deps{}); !errors.As(err, &refusal) {
		t.Fatalf("storage version %s for etcd 3.6: %v", src.StorageVersion, err)
	}
	p.AcceptStorageVersion = true
	res := mustRun(t, p, Deps{})
	b := boot(t, "3.6", res.Members...)
	b.wantHash(t, res.Hash)
	if _, err := b.any.Put(t.Context(), "x", "y"); err != nil {
		t.Error(err)
	}
}

// TestARestoredMemberWithoutItsDirectoryFoundsNoEmptyCluster starts a member on the printed flags where its directory is missing.
func TestARestoredMemberWithoutItsDirectoryFoundsNoEmptyCluster(t *testing.T) {
	t.Parallel()
	path, _ := oldFile(t)
	src := fileSource(t, path)
	for _, version := range realVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			res := mustRun(t, Plan{Source: src, Members: newMembers(t, "http", "a"), Out: filepath.Join(t.TempDir(), "out")}, Deps{})
			m := res.Members[0]
			if err := os.Rename(m.Dir, m.Dir+".elsewhere"); err != nil {
				t.Fatal(err)
			}
			cli := dial(t, pki.Pair{}, flagValue(t, m.Flags, "--advertise-client-urls"))
			cmd := startMember(t, version, m.Flags)
			deadline := time.Now().Add(bootTime)
			for cmd.ProcessState == nil && time.Now().Before(deadline) {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				_, err := cli.Get(ctx, "x")
				cancel()
				if err == nil {
					t.Fatal("it serves an empty cluster")
				}
				if !alive(cmd.Process.Pid) {
					return
				}
			}
		})
	}
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// startMember runs an etcd on these flags, until the end of the test.
func startMember(t *testing.T, version string, flags []string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(lab.Tool(t, "etcd-"+version, "etcd"), append([]string{"--logger=zap", "--log-level=error"}, flags...)...)
	exit, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exit
	})
	return cmd
}
