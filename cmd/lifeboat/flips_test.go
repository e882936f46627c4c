package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// bucketOnDisk is a directory sink with one backup of a real etcd, taken by the command under test.
type bucketOnDisk struct {
	sink, identity, trusted string
	sealed, manifest        string // paths of its two objects
}

func newBucketOnDisk(t *testing.T, fill kubedata.Options) *bucketOnDisk {
	t.Helper()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	if fill.Keys > 0 {
		if _, err := kubedata.Fill(t.Context(), c.Client(t), fill); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bucket"), 0o700); err != nil {
		t.Fatal(err)
	}
	b := &bucketOnDisk{
		sink: "file://" + filepath.Join(dir, "bucket"), identity: filepath.Join(dir, "age.key"),
		trusted: filepath.Join(dir, "sign.key.pub"),
	}
	inProcess(t, "key", "new", b.identity).must(t, exitDone)
	inProcess(t, "key", "new", "--signing", filepath.Join(dir, "sign.key")).must(t, exitDone)
	inProcess(t, "backup", "--endpoints", strings.Join(c.Endpoints(), ","), "--sink", b.sink, "--spool-dir", dir,
		"--recipients-file", b.identity+".pub", "--signing-key-file", filepath.Join(dir, "sign.key")).must(t, exitDone)
	b.sealed = onlyFile(t, filepath.Join(dir, "bucket/v1/default/snapshots/*"))
	b.manifest = onlyFile(t, filepath.Join(dir, "bucket/v1/default/manifests/*"))
	return b
}

func onlyFile(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found[0]
}

// commandRun is what became of one command run in this process.
type commandRun struct {
	code           int
	stdout, stderr string
}

func (r commandRun) must(t *testing.T, code int) commandRun {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit %d, want %d\nstdout:\n%s\nstderr:\n%s", r.code, code, r.stdout, r.stderr)
	}
	return r
}

func inProcess(t *testing.T, args ...string) commandRun {
	t.Helper()
	var out, errOut bytes.Buffer
	code := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &errOut})
	return commandRun{code, out.String(), errOut.String()}
}

// stride is how far apart the cases of an exhaustive suite lie: each one with LIFEBOAT_TEST_LONG=1, otherwise one of eleven, which
// is no multiple of the bits of a byte, so that every bit of a byte has its turn.
func stride() int {
	if lab.Long() {
		return 1
	}
	return 11
}

// TestEveryFlipAndTruncationOfASealedFileIsDamage flips every single bit of a small backup's sealed file in the sink, and cuts it at every length:
// `verify` must exit 7 each time. What the sealed format itself refuses, without the manifest's digest, is tested in package crypto.
func TestEveryFlipAndTruncationOfASealedFileIsDamage(t *testing.T) {
	b := newBucketOnDisk(t, kubedata.Options{})
	whole := readFile(t, b.sealed)
	verify := func() commandRun { return inProcess(t, "verify", "latest", "--sink", b.sink, "--no-report") }
	verify().must(t, exitDone)

	cases := 0
	try := func(what string, data []byte) {
		cases++
		overwrite(t, b.sealed, data)
		if r := verify(); r.code != exitDamaged {
			t.Fatalf("%s: exit %d, want %d\n%s%s", what, r.code, exitDamaged, r.stdout, r.stderr)
		}
	}
	for bit := 0; bit < 8*len(whole); bit += stride() {
		try(fmt.Sprintf("bit %d flipped", bit), flipped(whole, bit))
	}
	for size := 0; size < len(whole); size += stride() {
		try(fmt.Sprintf("cut to %d of %d bytes", size, len(whole)), whole[:size])
	}
	try("a byte appended", append(bytes.Clone(whole), 0))
	overwrite(t, b.sealed, whole)
	verify().must(t, exitDone)
	lab.Report(t, "%d cases: one in %d of all bits and lengths of a sealed file of %d bytes", cases, stride(), len(whole))
}

// TestEveryFlipOfASignedManifestIsNotAuthenticOrKeepsItsText does the same to the manifest, where its signing key is trusted.
func TestEveryFlipOfASignedManifestIsNotAuthenticOrKeepsItsText(t *testing.T) {
	b := newBucketOnDisk(t, kubedata.Options{})
	whole := readFile(t, b.manifest)
	id := strings.TrimSuffix(filepath.Base(b.manifest), ".note")
	show := func() commandRun {
		return inProcess(t, "show", id, "--sink", b.sink, "--trusted-keys-file", b.trusted, "-o", "json")
	}
	before := show().must(t, exitDone).stdout
	kept, cases := 0, 0
	for bit := 0; bit < 8*len(whole); bit += stride() {
		cases++
		overwrite(t, b.manifest, flipped(whole, bit))
		switch r := show(); {
		case r.code == exitNotAuthentic:
		case r.code == exitDone && r.stdout == before:
			kept++
		default:
			t.Fatalf("bit %d (%q): exit %d\n%s%s", bit, whole[bit/8], r.code, r.stdout, r.stderr)
		}
	}
	for size := 0; size < len(whole); size += stride() {
		cases++
		overwrite(t, b.manifest, whole[:size])
		show().must(t, exitNotAuthentic)
	}
	lab.Report(t, "%d cases: one in %d of all bits and lengths of a signed manifest of %d bytes; all refused but %d flips that leave its text as it was",
		cases, stride(), len(whole), kept)
}

// TestRandomFlipsOfARealBackupAreDamage flips 200 random bits of a larger backup, one at a time; verify, verify --deep and restore refuse it.
func TestRandomFlipsOfARealBackupAreDamage(t *testing.T) {
	b := newBucketOnDisk(t, kubedata.Options{Keys: 3000, Seed: 7, Leases: 20, Churn: 500})
	whole := readFile(t, b.sealed)
	random := rand.New(rand.NewPCG(200, 7))
	out := filepath.Join(t.TempDir(), "restored")
	cases := 200
	if !lab.Long() {
		cases = 40
	}
	for range cases {
		bit := random.IntN(8 * len(whole))
		overwrite(t, b.sealed, flipped(whole, bit))
		for _, args := range [][]string{
			{"verify", "latest", "--no-report"},
			{"verify", "latest", "--no-report", "--deep", "--identity", b.identity},
			{"restore", "latest", "--identity", b.identity, "--out", out},
		} {
			if r := inProcess(t, append(args, "--sink", b.sink)...); r.code != exitDamaged {
				t.Fatalf("bit %d, %s: exit %d\n%s%s", bit, args[0], r.code, r.stdout, r.stderr)
			}
		}
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("a refused restore left %s", out)
	}
	lab.Report(t, "%d random flips of a sealed file of %d bytes, each refused by verify, verify --deep and restore", cases, len(whole))
}

func flipped(data []byte, bit int) []byte {
	c := bytes.Clone(data)
	c[bit/8] ^= 1 << (bit % 8)
	return c
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// overwrite changes an object behind the sink's back.
func overwrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
