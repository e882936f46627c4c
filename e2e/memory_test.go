package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/peak"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// memoryLimit is what any process of Lifeboat may hold, mapped files apart, in bytes.
const memoryLimit = 300_000_000

// TestNoProcessHoldsMuchMemoryWhateverTheSize backs up a database of 256 MiB (in the long run of 1.5 GiB), restores three members of it, and looks at
// the memory of every process meanwhile.
func TestNoProcessHoldsMuchMemoryWhateverTheSize(t *testing.T) {
	size := int64(256 << 20)
	if lab.Long() {
		size = 1536 << 20
	}
	source := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1, QuotaBytes: 4 << 30, Args: []string{"--unsafe-no-fsync"}})
	fillDatabase(t, source, size)
	k := newKeys(t)
	dir := t.TempDir() // not evidence: what counts is logged
	bucket := filepath.Join(dir, "bucket")
	if err := os.Mkdir(bucket, 0o700); err != nil {
		t.Fatal(err)
	}

	args := append([]string{"backup", "--recipients-file", k.recipients, "--sink", "file://" + bucket, "--spool-dir", dir}, etcdFlags(source)...)
	watchMemory(t, size, args, "main", "inspect")

	// The restored members need its room.
	source.Stop(t, 0)
	if err := os.RemoveAll(source.Members()[0].DataDir); err != nil {
		t.Fatal(err)
	}
	watchMemory(t, size, []string{
		"restore", "latest", "--sink", "file://" + bucket, "--identity", k.identity,
		"--out", filepath.Join(dir, "out"), "--initial-cluster", newNames(t, 3),
	}, "main", "inspect", "restore-edit")
}

// fillDatabase writes until the database file has at least size bytes.
func fillDatabase(t *testing.T, c *lab.Cluster, size int64) {
	t.Helper()
	client := c.Client(t)
	_, err := kubedata.Fill(t.Context(), client, kubedata.Options{Keys: int(size / 2500), Bytes: size * 7 / 10, Seed: 3, Leases: 100})
	if err != nil {
		t.Fatal(err)
	}
	status, err := client.Status(t.Context(), c.Endpoints()[0])
	if err != nil {
		t.Fatal(err)
	}
	if status.DbSize < size {
		t.Fatalf("the database has %d bytes, and should have %d", status.DbSize, size)
	}
}

// watchMemory runs lifeboat, logs the peak of each kind of process, and fails if one of those expected was not seen or any held too much.
func watchMemory(t *testing.T, size int64, args []string, expected ...string) {
	t.Helper()
	used, err := peak.Run(exec.CommandContext(t.Context(), filepath.Join(built, "lifeboat"), args...))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range slices.Sorted(maps.Keys(used.Anon)) {
		lab.Report(t, "%s of a database of %d MiB, process %s: at most %.0f MB of memory, and %.0f MB of mapped files",
			args[0], size>>20, kind, float64(used.Anon[kind])/1e6, float64(used.Mapped[kind])/1e6)
		if used.Anon[kind] >= memoryLimit {
			t.Errorf("%s: process %s held %d bytes, and may hold %d", args[0], kind, used.Anon[kind], memoryLimit)
		}
	}
	for _, kind := range expected {
		if used.Anon[kind] == 0 {
			t.Errorf("%s: no process %s was seen, only %v", args[0], kind, used.Anon)
		}
	}
}
