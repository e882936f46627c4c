package rehearsal

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestRestoredMembersEqualTheSourceOverRPC rehearses snapshots of every version on the built-in etcd, and holds what the report
// compares against what the source's members said over RPC while they lived.
func TestRestoredMembersEqualTheSourceOverRPC(t *testing.T) {
	t.Parallel()
	for _, version := range lab.Versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			source := save(t, lab.ClusterOptions{Version: version, TLS: true}, 1500)
			r := rehearse(t, options(t, source.path))
			wantPassed(t, r)
			if len(r.Comparison) != 4 {
				t.Fatalf("%d rows, want the backup's and three", len(r.Comparison))
			}
			for _, row := range r.Comparison {
				for name, h := range source.hashes {
					if row.HashKV != h.Hash || row.CompactRevision != h.CompactRevision || row.Revision != source.rev {
						t.Errorf("%s has %d/%d/%d, the source's %s %d/%d/%d",
							row.Name, row.HashKV, row.Revision, row.CompactRevision, name, h.Hash, source.rev, h.CompactRevision)
					}
				}
			}
			asked := map[string]bool{}
			for _, c := range r.Checks {
				asked[c.Name] = c.Result == Passed
			}
			for _, name := range []string{CheckRestore, CheckQuorum, CheckHash, CheckKeys, CheckAlarms, CheckCanary, CheckRejoin, CheckCompaction, CheckBump, CheckOldWatch, CheckRevision} {
				if !asked[name] {
					t.Errorf("%s did not pass", name)
				}
			}
			if r.RTOSeconds <= 0 || len(r.EtcdVersions) != 1 {
				t.Errorf("recovery took %f s on %v", r.RTOSeconds, r.EtcdVersions)
			}
		})
	}
}

// TestAnUpgradePathIsRehearsed goes 3.5 → 3.6 → 3.7 on one backup, comparing HashKV after each step. Left to itself the last step panics,
// because of what 3.5 has written into the log.
func TestAnUpgradePathIsRehearsed(t *testing.T) {
	t.Parallel()
	source := save(t, lab.ClusterOptions{Version: "3.5", Members: 1}, 800)
	path := []string{lab.Tool(t, "etcd-3.5", "etcd"), lab.Tool(t, "etcd-3.6", "etcd"), lab.Tool(t, "etcd-3.7", "etcd")}
	t.Run("with a raft snapshot by 3.6", func(t *testing.T) {
		t.Parallel()
		o := options(t, source.path)
		o.Etcd = path
		r := rehearse(t, o)
		wantPassed(t, r)
		if len(r.EtcdVersions) != 3 || len(r.Comparison) != 10 {
			t.Errorf("%v, %d rows", r.EtcdVersions, len(r.Comparison))
		}
	})
	t.Run("without", func(t *testing.T) {
		t.Parallel()
		o := options(t, source.path)
		o.Etcd, o.NoSettle = path, true
		r := rehearse(t, o)
		if r.Passed || !strings.Contains(r.Reason, "panic") || !strings.Contains(r.Reason, "3.7") {
			t.Errorf("passed is %t: %s", r.Passed, r.Reason)
		}
		if !strings.Contains(r.Remedy, "raft snapshot") {
			t.Errorf("the remedy is %q", r.Remedy)
		}
	})
}

// TestAuthenticationDoesNotKeepTheRehearsalOut rehearses a cluster whose password nobody gives it.
func TestAuthenticationDoesNotKeepTheRehearsalOut(t *testing.T) {
	t.Parallel()
	source := save(t, lab.ClusterOptions{Version: "3.6", Members: 1, Auth: true}, 300)
	wantPassed(t, rehearse(t, options(t, source.path)))
}

// TestDataThatIsNotOfKubernetesIsRehearsedWithoutTheBump also covers keys in no folder, and a cluster of one member.
func TestDataThatIsNotOfKubernetesIsRehearsedWithoutTheBump(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Members: 1})
	cli := c.Client(t)
	for _, key := range []string{"a", "/b", "app/x", "app/one/y", "app/one/z", "app/two", "//odd/key", "été/ü/ö", "\x00\xff/bin/ary"} {
		if _, err := cli.Put(t.Context(), key, "value of "+key); err != nil {
			t.Fatal(err)
		}
	}
	o := options(t, lab.SaveSnapshot(t, c.Client(t)))
	o.Members = 1
	r := rehearse(t, o)
	wantPassed(t, r)
	if last := r.Checks[len(r.Checks)-1]; last.Name != CheckBump || last.Result != Untested {
		t.Errorf("the last check is %s (%s)", last, last.Result)
	}
}

// TestTheJSONOfAReportIsAContract holds the names of its fields. A name that is missing here is a broken promise to whoever reads
// reports by program; a new one is added here and in docs.
func TestTheJSONOfAReportIsAContract(t *testing.T) {
	t.Parallel()
	taken := time.Date(2026, 11, 20, 14, 50, 0, 0, time.UTC)
	r := &Report{
		Format: Format, Started: taken, Tool: "1", EtcdVersions: []string{"3.7.3"}, Members: 3, OpenedWith: "f", Kept: "/k", Remedy: "r",
		Backup: Backup{
			ID: "i", Cluster: "c", Taken: &taken, File: "f", Revision: 2, CompactRevision: 1, SourceVersion: "3.6.1", StorageVersion: "3.6",
			PlainBytes: 4, SealedBytes: 3,
			MembersCompared: []string{}, Signed: true, SignedBy: []string{"s"}, Trusted: true,
		},
		Comparison: []Row{{Role: RoleRestored, Name: "m", Etcd: "3.7.3", HashKV: 1, Revision: 2, CompactRevision: 1, Equal: true, Error: "e"}},
	}
	r.APIServer = &APIServer{Version: "v1.36.3", Resources: []Resource{{Name: "pods", Version: "v1", Objects: 5, Result: Untested, Detail: "why"}}}
	r.check(CheckHash, "3.7.3", Failed, "why")
	r.phase("fetch", "3.7.3", time.Second, true)
	r.settle(taken)
	r.Follow(past(1))
	got, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/report.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != string(want) {
		t.Errorf("the report is\n%s", got)
	}
}
