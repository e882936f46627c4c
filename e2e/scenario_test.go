package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// A scene is a cluster with objects of Kubernetes in it, and what it takes to back it up.
type scene struct {
	*lab.Cluster
	keys
	bucket, sink string
}

// taken is what `backup -o json` and `show -o json` say of a backup, as far as scenarios ask.
type taken struct {
	ID                   string
	Quorum               bool
	Revision             int64
	LinearizableRevision int64 `json:"linearizable_revision"`
	Source               struct {
		Endpoint      string
		MemberName    string `json:"member_name"`
		ServerVersion string `json:"server_version"`
		Alarms        []string
		Quota         int64
		Members       []struct {
			Name          string
			ServerVersion string `json:"server_version"`
		}
	}
	HashKV struct {
		Hash            uint32
		Revision        int64
		CompactRevision int64 `json:"compact_revision"`
	}
	Plain   struct{ Size int64 }
	Suspect struct{ Reasons []string }

	said string // on stderr
}

func newScene(t *testing.T, o lab.ClusterOptions, fill kubedata.Options) *scene {
	t.Helper()
	s := &scene{Cluster: lab.StartCluster(t, o), keys: newKeys(t), bucket: t.TempDir()}
	s.sink = "file://" + s.bucket
	if fill.Keys > 0 {
		if _, err := kubedata.Fill(t.Context(), s.Client(t), fill); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// reaching are the flags that reach these endpoints; all members if none are given.
func (s *scene) reaching(endpoints ...string) []string {
	flags := etcdFlags(s.Cluster)
	if len(endpoints) > 0 {
		flags[1] = strings.Join(endpoints, ",")
	}
	return flags
}

// try runs a backup of these endpoints, however it ends.
func (s *scene) try(t *testing.T, endpoints []string, more ...string) ran {
	t.Helper()
	return lifeboat(t, slices.Concat([]string{"backup", "--recipients-file", s.recipients, "--sink", s.sink, "-o", "json"}, s.reaching(endpoints...), more)...)
}

// backup takes a backup of these endpoints, all members if none are given, which has to be whole.
func (s *scene) backup(t *testing.T, endpoints ...string) taken {
	t.Helper()
	return takenBy(t, s.try(t, endpoints).must(t, 0))
}

func takenBy(t *testing.T, r ran) taken {
	t.Helper()
	b := taken{said: r.stderr}
	decode(t, r.stdout, &b)
	return b
}

// stored are the ids of the backups in the bucket.
func (s *scene) stored(t *testing.T) []string {
	t.Helper()
	return listed(t, []string{"--sink", s.sink})
}

// storedAs are the ids of the backups of a cluster under this name.
func (s *scene) storedAs(t *testing.T, cluster string) []string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(s.bucket, "v1")); err != nil {
		return nil // there was no backup yet
	}
	return listed(t, []string{"--sink", s.sink, "--cluster", cluster})
}

// recordedAs is what `show -o json` says of a backup.
func (s *scene) recordedAs(t *testing.T, cluster, backup string) taken {
	t.Helper()
	var b taken
	decode(t, lifeboat(t, "show", backup, "--cluster", cluster, "--sink", s.sink, "-o", "json").must(t, 0).stdout, &b)
	return b
}

// comesBack restores a backup to three members with names and addresses of their own, and has each say over RPC that it holds what
// the manifest says. It returns when they have taken a write.
func (s *scene) comesBack(t *testing.T, version string, b taken) {
	t.Helper()
	r := restored(t, nil, "restore", b.ID, "--sink", s.sink, "--identity", s.identity, "--no-bump",
		"--out", filepath.Join(t.TempDir(), "out"), "--initial-cluster", newNames(t, 3))
	sameHash(t, boot(t, version, r), b.HashKV.Revision, b.asWritten())
}

// asWritten is the hash in the manifest, to compare members with.
func (b taken) asWritten() map[string]hashAt {
	return map[string]hashAt{"the manifest": {b.HashKV.Hash, b.HashKV.CompactRevision}}
}

// whole checks that every member of the source serves and holds the same.
func (s *scene) whole(t *testing.T) {
	t.Helper()
	c := awaitAll(t, s.ClientTLS(t), s.Endpoints()...)
	rev := headOf(t, c)
	awaitAll(t, s.ClientTLS(t), s.Endpoints()...) // and so every one has applied as much
	sameHash(t, c, rev, askHashes(t, c, s.Endpoints(), rev))
}

// place is where in the order of the members one stands.
func (s *scene) place(t *testing.T, name string) int {
	t.Helper()
	i := slices.IndexFunc(s.Members(), func(m lab.Member) bool { return m.Name == name })
	if i < 0 {
		t.Fatalf("%q is no member", name)
	}
	return i
}
