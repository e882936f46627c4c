//go:build node

package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// TestNodeTheReadmeRecoversWithStockTools does what the README says from top to bottom, recovery without Lifeboat included.
func TestNodeTheReadmeRecoversWithStockTools(t *testing.T) {
	c := readmeCluster(t, "3.6")
	for _, page := range readmes() {
		t.Run(page, func(t *testing.T) {
			d := newDesk(t, c)
			d.tool(t, "age", "age")
			d.tool(t, tools.Debian, "zstd")
			d.tool(t, "etcd-3.6", "etcdutl")
			followReadme(t, d, page, true)
			byHand := bootByHand(t, filepath.Join(d.dir, "lib", "etcd-restored-by-hand"))
			if n, want := countKeys(t, byHand), countKeys(t, c.Client(t)); n != want {
				t.Errorf("what was recovered by hand has %d keys, the source %d", n, want)
			}
		})
	}
}

// TestNodeABackupIsWhatEtcdctlSaves opens a backup with stock tools only, for keys of both kinds: the file has the digest that the manifest
// gives, and of a quiet member it is equal, in revision and HashKV, to what etcdctl saves and to what the member itself says.
func TestNodeABackupIsWhatEtcdctlSaves(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.7", Members: 1, TLS: true})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 1000, Seed: 7, Leases: 10, Churn: 200, Compact: true}); err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(t.TempDir(), "saved.db")
	stockTool(t, lab.Tool(t, "etcd-3.7", "etcdctl"), "--endpoints", c.Endpoints()[0],
		"--cacert", c.CAFile, "--cert", c.CertFile, "--key", c.KeyFile, "snapshot", "save", saved)
	want := stockFigures(t, saved)
	for _, kind := range []struct {
		name  string
		flags []string
	}{{"hybrid", nil}, {"classic", []string{"--classic"}}} {
		t.Run(kind.name, func(t *testing.T) {
			k, bucket := newKeys(t, kind.flags...), t.TempDir()
			lifeboat(t, append([]string{"backup", "--recipients-file", k.recipients, "--sink", "file://" + bucket}, etcdFlags(c)...)...).must(t, 0)
			m := manifestByHand(t, bucket)
			plain := filepath.Join(t.TempDir(), "snapshot.db")
			openByHand(t, k.identity, filepath.Join(bucket, "v1/default/snapshots", m.ID+".db.zst.age"), plain)
			if got := fileSHA256(t, plain); got != m.Plain.SHA256 {
				t.Errorf("the file's SHA-256 is %s, the manifest's plain.sha256 %s", got, m.Plain.SHA256)
			}
			got := stockFigures(t, plain)
			if got != want {
				t.Errorf("etcdutl says %+v of the backup, and %+v of what etcdctl saved", got, want)
			}
			if inManifest := (figures{m.Revision, m.HashKV.Hash}); got != inManifest {
				t.Errorf("etcdutl says %+v of the backup, and the manifest %+v", got, inManifest)
			}
			for name, live := range c.HashKV(t, got.Revision) {
				if live.Hash != got.Hash {
					t.Errorf("member %s has HashKV %d, the backup %d", name, live.Hash, got.Hash)
				}
			}
		})
	}
}

// TestNodeALiveEtcd34ComesBackOnNewerServers backs up a running cluster of etcd 3.4, rehearses the backup and restores it onto every newer minor.
func TestNodeALiveEtcd34ComesBackOnNewerServers(t *testing.T) {
	source := lab.StartCluster(t, lab.ClusterOptions{Version: "3.4", TLS: true})
	if _, err := kubedata.Fill(t.Context(), source.Client(t), kubedata.Options{Keys: 1000, Seed: 9, Leases: 10, Churn: 200}); err != nil {
		t.Fatal(err)
	}
	k, sink := newKeys(t), "file://"+t.TempDir()
	var b struct {
		ID       string `json:"id"`
		Revision int64  `json:"revision"`
	}
	decode(t, lifeboat(t, append([]string{"backup", "--recipients-file", k.recipients, "--sink", sink, "-o", "json"}, etcdFlags(source)...)...).must(t, 0).stdout, &b)
	want := askHashes(t, source.Client(t), source.Endpoints(), b.Revision)
	lifeboat(t, "rehearse", b.ID, "--sink", sink, "--identity", k.identity).must(t, 0)
	for _, version := range []string{"3.5", "3.6", "3.7"} {
		t.Run(version, func(t *testing.T) {
			r := restored(t, nil, "restore", b.ID, "--sink", sink, "--identity", k.identity, "--no-bump",
				"--out", filepath.Join(t.TempDir(), "out"), "--initial-cluster", newNames(t, 3))
			sameHash(t, boot(t, version, r), b.Revision, want)
		})
	}
}

// stockManifest is what a person with jq reads from a manifest.
type stockManifest struct {
	ID    string `json:"id"`
	Plain struct {
		SHA256 string `json:"sha256"`
	} `json:"plain"`
	Revision int64 `json:"revision"`
	HashKV   struct {
		Hash uint32 `json:"hash"`
	} `json:"hashkv"`
}

// manifestByHand reads the first line of the only manifest in the bucket.
func manifestByHand(t *testing.T, bucket string) (m stockManifest) {
	t.Helper()
	notes, err := filepath.Glob(filepath.Join(bucket, "v1/default/manifests/*.note"))
	if err != nil || len(notes) != 1 {
		t.Fatalf("%v, %v", notes, err)
	}
	text, err := os.ReadFile(notes[0])
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	decode(t, line, &m)
	return m
}

// openByHand is age -d -i identity sealed | zstd -d > plain.
func openByHand(t *testing.T, identity, sealed, plain string) {
	t.Helper()
	compressed := plain + ".zst"
	stockTool(t, lab.Tool(t, "age", "age"), "-d", "-i", identity, "-o", compressed, sealed)
	stockTool(t, lab.Tool(t, tools.Debian, "zstd"), "-q", "-d", compressed, "-o", plain)
}

// figures are what two snapshots of the same data have in common. Key totals are left out: the versions of etcdutl count differently.
type figures struct {
	Revision int64
	Hash     uint32
}

// stockFigures asks etcdutl about a snapshot file: status, which only reads, and hashkv of a copy, because that writes to the file.
func stockFigures(t *testing.T, file string) figures {
	t.Helper()
	etcdutl := lab.Tool(t, "etcd-3.7", "etcdutl")
	var status struct {
		Revision int64 `json:"revision"`
	}
	decode(t, stockTool(t, etcdutl, "snapshot", "status", file, "-w", "json"), &status)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	scratch := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(scratch, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var hash struct {
		Hash         uint32 `json:"hash"`
		HashRevision int64  `json:"hashRevision"`
	}
	decode(t, stockTool(t, etcdutl, "hashkv", scratch, "-w", "json"), &hash)
	if hash.HashRevision != status.Revision {
		t.Errorf("etcdutl hashed up to revision %d, and the file has %d", hash.HashRevision, status.Revision)
	}
	return figures{status.Revision, hash.Hash}
}

func stockTool(t *testing.T, program string, args ...string) (stdout string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(program), strings.Join(args, " "), err, &out, &errOut)
	}
	return out.String()
}

func fileSHA256(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// bootByHand starts etcd on what etcdutl made when it was told nothing of members.
func bootByHand(t *testing.T, dataDir string) *clientv3.Client {
	t.Helper()
	ports := lab.FreePorts(t, 1)
	var r restoredCluster
	decode(t, fmt.Sprintf(`{"members": [{"name": "default", "data_dir": %q, "flags": ["--data-dir", %q, "--listen-peer-urls", "http://127.0.0.1:%d"]}]}`,
		dataDir, dataDir, ports[0]), &r)
	return boot(t, "3.6", r)
}
