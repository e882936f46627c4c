package restore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// TestTheRawDatabaseOfASurvivorServesAgain kills a cluster, takes the file of one member as it lies there, and restores all three of it:
// with the hash that the members had, and with a word about what nobody can know.
func TestTheRawDatabaseOfASurvivorServesAgain(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6"})
	populate(t, c.Client(t), 400)
	last, err := c.Client(t).Put(t.Context(), "/registry/last", "word")
	if err != nil {
		t.Fatal(err)
	}
	head := last.Header.Revision
	want := c.HashKV(t, head)["m2"]
	c.Await(t, 0, 1, 2)     // each has applied it
	time.Sleep(time.Second) // etcd writes its database every 100 ms
	db := filepath.Join(c.Members()[1].DataDir, "member", "snap", "db")
	if _, err := FromFile(t.Context(), db, true); err == nil || !strings.Contains(err.Error(), "held by a running etcd") {
		t.Errorf("the file of a running member: %v", err)
	}
	for i := range c.Members() {
		c.Kill(t, i)
	}
	if _, err := FromFile(t.Context(), db, false); err == nil {
		t.Error("it is taken without --raw")
	}
	before, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	s, err := FromFile(t.Context(), db, true)
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(s.Unproven, "\n")
	for _, part := range []string{"no digest", "write-ahead log", "raft index", "another survivor"} {
		if !strings.Contains(said, part) {
			t.Errorf("no word of %q in\n%s", part, said)
		}
	}
	if s.Revision != head {
		t.Fatalf("the file ends at revision %d, the cluster did at %d", s.Revision, head)
	}
	res := mustRun(t, Plan{Source: s, Members: newMembers(t, "http", "a", "b", "c"), Out: filepath.Join(t.TempDir(), "out"), NoBump: true}, Deps{})
	b := boot(t, "3.6", res.Members...)
	b.wantHash(t, snapshot.Hash{Hash: want.Hash, Revision: head, CompactRevision: want.CompactRevision})
	if got, err := b.any.Get(t.Context(), "/registry/last"); err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Value) != "word" {
		t.Errorf("the last write is %v, %v", got, err)
	}
	if after, err := os.ReadFile(db); err != nil || string(after) != string(before) {
		t.Errorf("the survivor's file was changed: %v", err)
	}
}

// TestADamagedRawDatabaseIsRefused flips the pages that a raw file's own structure protects, and cuts it short.
func TestADamagedRawDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path, _ := oldFile(t)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw := data[:len(data)-trailerSize]
	for name, bad := range map[string][]byte{
		"cut short": raw[:len(raw)-1000], "a page less": raw[:len(raw)/2/4096*4096], "no pages": make([]byte, len(raw)), "a snapshot": data,
	} {
		file := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := FromFile(t.Context(), file, true); err == nil {
			t.Errorf("%s: it is taken as %+v", name, s.Revision)
		}
	}
}
