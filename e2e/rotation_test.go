package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// A rotation is backups of one cluster in a directory and in MinIO, with an old key and a new one.
type rotation struct {
	t                *testing.T
	source           *lab.Cluster
	env              []string
	dir              string // the directory, as a path
	directory, minio string // sinks
	old, new         keys
}

func newRotation(t *testing.T) *rotation {
	r := &rotation{t: t, source: lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true}), dir: t.TempDir(), old: newKeys(t), new: newKeys(t)}
	if _, err := kubedata.Fill(t.Context(), r.source.Client(t), kubedata.Options{Keys: 500, Seed: 21, Leases: 5, Churn: 100}); err != nil {
		t.Fatal(err)
	}
	s3 := lab.StartMinIO(t)
	r.env = []string{"AWS_ACCESS_KEY_ID=" + s3.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s3.SecretKey}
	r.directory = "file://" + r.dir
	r.minio = fmt.Sprintf("s3://%s/etcd?endpoint=%s&region=us-east-1", s3.Bucket(t), url.QueryEscape(s3.URL))
	return r
}

// run runs a command on both sinks.
func (r *rotation) run(code int, args ...string) ran {
	r.t.Helper()
	return lifeboatWith(r.t, r.env, append(args, "--sink", r.directory, "--sink", r.minio)...).must(r.t, code)
}

func (r *rotation) backup(recipients string) (b struct {
	ID       string `json:"id"`
	Revision int64  `json:"revision"`
}, said string,
) {
	r.t.Helper()
	out := r.run(0, append([]string{"backup", "--recipients-file", recipients, "-o", "json"}, etcdFlags(r.source)...)...)
	decode(r.t, out.stdout, &b)
	return b, out.stderr
}

// objects are the digests of everything in the directory that is no sidecar.
func (r *rotation) objects() map[string]string {
	r.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "/keys/") {
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// rewrapped is what `key rewrap -o json` says of one recipient of one backup in one sink.
type rewrapped struct {
	ID      string `json:"id"`
	OK      bool   `json:"ok"`
	Written bool   `json:"written"`
}

func (r *rotation) rewrap(args ...string) (written, there int) {
	r.t.Helper()
	out := r.run(0, append([]string{"key", "rewrap", "--to", r.new.recipients, "-o", "json"}, args...)...)
	if !strings.Contains(out.stderr, "revokes nothing") {
		r.t.Errorf("it does not say that it revokes nothing:\n%s", out.stderr)
	}
	var all []rewrapped
	decode(r.t, out.stdout, &all)
	for _, one := range all {
		switch {
		case one.OK && one.Written:
			written++
		case one.OK:
			there++
		}
	}
	return written, there
}

// TestBackupsOutliveTheKeyTheyWereSealedTo is a rotation of keys: backups to the old one are given to the new one, and restored with nothing
// but that, from either sink, with the source's HashKV.
func TestBackupsOutliveTheKeyTheyWereSealedTo(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	for range 2 {
		r.backup(r.old.recipients)
	}
	b, _ := r.backup(r.old.recipients)
	want := askHashes(t, r.source.Client(t), r.source.Endpoints(), b.Revision)
	before := r.objects()
	out := filepath.Join(t.TempDir(), "out")
	if said := r.run(8, "restore", b.ID, "--identity", r.new.identity, "--out", out).stderr; strings.Contains(said, "step=fetch") {
		t.Errorf("a wrong key was found only after the fetch:\n%s", said)
	}

	if written, there := r.rewrap("--identity", r.old.identity, b.ID); written != 2 || there != 0 {
		t.Errorf("one backup in two sinks: %d written, %d there", written, there)
	}
	if written, there := r.rewrap("--identity", r.old.identity, "--all"); written != 4 || there != 2 {
		t.Errorf("three backups in two sinks, one of them done: %d written, %d there", written, there)
	}
	if written, there := r.rewrap("--identity", r.new.identity, "--all"); written != 0 || there != 6 {
		t.Errorf("again, by the new key: %d written, %d there", written, there)
	}
	if diff := cmp.Diff(before, r.objects()); diff != "" {
		t.Errorf("the backups themselves were touched:\n%s", diff)
	}
	for _, sink := range []string{r.directory, r.minio} {
		made := restored(t, r.env, "restore", b.ID, "--sink", sink, "--identity", r.new.identity, "--no-bump",
			"--out", filepath.Join(t.TempDir(), "out"), "--initial-cluster", newNames(t, 3))
		sameHash(t, boot(t, "3.6", made), b.Revision, want)
	}
	r.run(0, "verify", b.ID, "--deep", "--identity", r.old.identity)
	r.run(0, "verify", b.ID, "--deep", "--identity", r.new.identity)
	lifeboatWith(t, r.env, "rehearse", b.ID, "--sink", r.minio, "--identity", r.new.identity, "--members", "1").must(t, 0)
	r.damagedSidecar(b.ID)
	r.classic(b.ID)
}

// damagedSidecar has the sidecar in the directory replaced by another's: the new key is told no, the old one and MinIO's copy are as before.
func (r *rotation) damagedSidecar(id string) {
	r.t.Helper()
	all, err := filepath.Glob(filepath.Join(r.dir, "v1/default/keys/*/*.age"))
	if err != nil || len(all) != 3 {
		r.t.Fatalf("sidecars %v, %v", all, err)
	}
	i := slices.IndexFunc(all, func(path string) bool { return strings.Contains(path, id) })
	stray, err := os.ReadFile(all[(i+1)%3])
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(all[i], stray, 0o600); err != nil {
		r.t.Fatal(err)
	}
	on := func(code int, sink, identity string) string {
		r.t.Helper()
		return lifeboatWith(r.t, r.env, "verify", id, "--deep", "--sink", sink, "--identity", identity).must(r.t, code).stderr
	}
	if said := on(8, r.directory, r.new.identity); !strings.Contains(said, "none of 1 identities") {
		r.t.Errorf("another's sidecar: %s", said)
	}
	on(0, r.directory, r.old.identity)
	on(0, r.minio, r.new.identity)
	rewrap := func(code int) ran {
		r.t.Helper()
		return r.run(code, "key", "rewrap", id, "--identity", r.old.identity, "--to", r.new.recipients)
	}
	if said := rewrap(0).stdout; strings.Count(said, "a sidecar is there already, not proven") != 2 || strings.Contains(said, "can open it") {
		r.t.Errorf("rewrap of another's sidecar: %s", said)
	}
	if err := os.WriteFile(all[i], []byte("junk"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	key := strings.TrimPrefix(all[i], r.dir+"/")
	if out := rewrap(3); !strings.Contains(out.stdout, "FAILED: "+key) || !strings.Contains(out.stderr, "lifeboat: hint: remove "+key+" in "+r.directory+" with the store's own tools") {
		r.t.Errorf("rewrap of junk: %s%s", out.stdout, out.stderr)
	}
	lifeboatWith(r.t, r.env, "key", "rewrap", id, "--sink", r.directory, "--identity", r.old.identity, "--to", r.new.recipients).must(r.t, 7)
	on(8, r.directory, r.new.identity)
	on(0, r.minio, r.new.identity)
	if err := os.Remove(all[i]); err != nil {
		r.t.Fatal(err)
	}
	rewrap(0)
	on(0, r.directory, r.new.identity)
	lifeboatWith(r.t, r.env, "restore", id, "--sink", r.directory, "--sink", r.minio, "--identity", r.new.identity, "--out", filepath.Join(r.t.TempDir(), "out"),
		"--initial-cluster", newNames(r.t, 3)).must(r.t, 0)
}

// classic refuses to give to a classic recipient what is sealed to hybrid ones.
func (r *rotation) classic(id string) {
	r.t.Helper()
	k := newKeys(r.t, "--classic")
	said := r.run(2, "key", "rewrap", id, "--identity", r.old.identity, "--to", k.recipients).stderr
	if !strings.Contains(said, "quantum computer") || !strings.Contains(said, "lifeboat: hint: give it to a hybrid recipient") {
		r.t.Errorf("hybrid to classic: %s", said)
	}
	r.run(2, "key", "rewrap", id, "--identity", r.old.identity)
	r.run(2, "key", "rewrap", id, "--to", r.new.recipients)
	r.run(2, "key", "rewrap", "--identity", r.old.identity, "--to", r.new.recipients)
	r.run(8, "key", "rewrap", id, "--identity", newKeys(r.t).identity, "--to", newKeys(r.t).recipients)
}

// TestChangedRecipientsAreToldOfUntilAPersonAcceptsThem rotates the recipients file itself.
func TestChangedRecipientsAreToldOfUntilAPersonAcceptsThem(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	const warning = "lifeboat: warning: backups are sealed to other recipients than before, since "
	told := func(said string) bool { return strings.Contains(said, warning) }
	first, said := r.backup(r.old.recipients)
	if told(said) {
		t.Errorf("the first backup: %s", said)
	}
	changed, said := r.backup(r.new.recipients)
	if !told(said) || !strings.Contains(said, "lifeboat: hint: if that was meant (a rotation of keys): lifeboat accept "+changed.ID) {
		t.Errorf("the first to others: %s", said)
	}
	newest, said := r.backup(r.new.recipients)
	if !told(said) || !strings.Contains(said, changed.ID) {
		t.Errorf("the second to others: %s", said)
	}
	var shown struct {
		ID string `json:"id"`
		C  *struct {
			Since  string   `json:"since"`
			Before []string `json:"before"`
		} `json:"recipients_changed"`
	}
	decode(t, r.run(0, "show", "latest", "-o", "json").stdout, &shown)
	if shown.ID != newest.ID || shown.C == nil || shown.C.Since != changed.ID || len(shown.C.Before) != 1 {
		t.Errorf("latest is %s, changed %+v", shown.ID, shown.C)
	}
	if said := r.run(0, "accept", first.ID).stderr; !strings.Contains(said, "nothing to accept") {
		t.Errorf("accepting the old one: %s", said)
	}
	if said := r.run(0, "accept", "latest").stderr; !strings.Contains(said, "the recipients of "+newest.ID) || strings.Contains(said, "lineage") {
		t.Errorf("accepting: %s", said)
	}
	if said := r.run(0, "accept", "latest").stderr; !strings.Contains(said, "nothing to accept") {
		t.Errorf("accepting again: %s", said)
	}
	if _, said := r.backup(r.new.recipients); told(said) {
		t.Errorf("after it was accepted: %s", said)
	}
}
