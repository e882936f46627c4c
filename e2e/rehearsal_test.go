package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// rehearse runs a rehearsal of the newest backup, in a folder that has to be empty afterwards.
func (s *scene) rehearse(t *testing.T, code int, more ...string) ran {
	t.Helper()
	dir := t.TempDir()
	r := lifeboat(t, append([]string{"rehearse", "latest", "--sink", s.sink, "--identity", s.identity, "--no-report", "--dir", dir}, more...)...).must(t, code)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if strings.Contains(r.stderr, "goroutine ") {
		t.Errorf("the rehearsal itself died:\n%s", r.stderr)
	}
	return r
}

// TestAnUpgradeIsRehearsedOnOneBackup goes from the version of the source to the newest, as a person would before an upgrade.
func TestAnUpgradeIsRehearsedOnOneBackup(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.5", Members: 1}, kubedata.Options{Keys: 200, Seed: 41})
	s.backup(t)
	s.Stop(t, 0)
	path := []string{"--members", "1"}
	for _, version := range []string{"3.5", "3.6", "3.7"} {
		path = append(path, "--etcd", lab.Tool(t, "etcd-"+version, "etcd"))
	}
	mustSay(t, "rehearse", s.rehearse(t, 0, path...).stdout, `PROVEN`, `settle +3\.6\.\d+ +passed +warning: .* raft snapshot`,
		`hashkv +3\.5\.\d+ +passed`, `hashkv +3\.6\.\d+ +passed`, `hashkv +3\.7\.\d+ +passed`)
	r := s.rehearse(t, 10, append(path, "--no-settle")...)
	mustSay(t, "rehearse --no-settle", r.stdout, `FAILED`, `reason: .*3\.7.*panic`, `remedy: +leave out --no-settle: .* raft snapshot`)
	mustSay(t, "rehearse --no-settle", r.stderr, `lifeboat: hint: leave out --no-settle`)
}

// TestABackupOfANewerEtcdIsRefusedForAnOlderOneUnlessItsMarkMayGo has the older server decide: it does not start on the mark, and serves without.
func TestABackupOfANewerEtcdIsRefusedForAnOlderOneUnlessItsMarkMayGo(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.7", Members: 1}, kubedata.Options{Keys: 200, Seed: 43})
	b := s.backup(t)
	s.Stop(t, 0)
	old := lab.Tool(t, "etcd-3.6", "etcd")
	out := filepath.Join(t.TempDir(), "out")
	restore := []string{"restore", b.ID, "--sink", s.sink, "--identity", s.identity, "--no-bump", "--out", out, "--initial-cluster", newNames(t, 3), "--etcd-version", "3.6"}
	for who, r := range map[string]ran{
		"rehearse": s.rehearse(t, 9, "--members", "1", "--etcd", old),
		"restore":  lifeboat(t, restore...).must(t, 9),
	} {
		mustSay(t, who, r.stderr, `lifeboat: error: .*has storage version 3\.7(\.0)?, which etcd 3\.6\S* does not start on`, `lifeboat: hint: .*--accept-storage-version`)
	}
	if _, err := os.Stat(out); err == nil {
		t.Errorf("%s was made", out)
	}
	mustSay(t, "rehearse", s.rehearse(t, 0, "--members", "3", "--etcd", old, "--accept-storage-version").stdout, `PROVEN`, `tested on: +3 members of etcd 3\.6\.`)
	r := restored(t, nil, append(restore, "--accept-storage-version")...)
	sameHash(t, boot(t, "3.6", r), b.HashKV.Revision, b.asWritten())
}

// TestDamageBehindValidDigestsEndsTheRehearsalWithAReason seals what is damaged as if it had been backed up like that: every digest of the
// manifest is right, and so is the one at the end of the snapshot.
func TestDamageBehindValidDigestsEndsTheRehearsalWithAReason(t *testing.T) {
	t.Parallel()
	const page, mark = 4096, "a value that is longer than what a disk's fault changes of it"
	s := newScene(t, lab.ClusterOptions{Version: "3.6", Members: 1}, kubedata.Options{Keys: 200, Seed: 47})
	if _, err := s.Client(t).Put(t.Context(), "/registry/configmaps/default/marked", mark); err != nil {
		t.Fatal(err)
	}
	b := s.backup(t)
	s.Stop(t, 0)
	file := filepath.Join(t.TempDir(), "whole.db")
	lifeboat(t, "restore", b.ID, "--sink", s.sink, "--identity", s.identity, "--snapshot-out", file).must(t, 0)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	whole = whole[:len(whole)-sha256.Size]
	for name, damage := range map[string]func(db []byte) []byte{
		"nothing":      func(db []byte) []byte { return db }, // and then it is proven
		"truncated":    func(db []byte) []byte { return db[:len(db)/2/page*page] },
		"no page":      func([]byte) []byte { return nil },
		"meta zeroed":  func(db []byte) []byte { clear(db[:2*page]); return db },
		"pages zeroed": func(db []byte) []byte { clear(db[2*page:]); return db },
		"pages swapped": func(db []byte) []byte {
			return append(db[:2*page:2*page], append(bytes.Clone(db[len(db)/2:]), db[2*page:len(db)/2]...)...)
		},
		"a bit flipped": func(db []byte) []byte {
			for at := 0; ; at++ { // in every copy: which of them is live is not to be seen
				next := bytes.Index(db[at:], []byte(mark))
				if next < 0 {
					return db
				}
				at += next
				db[at+20] ^= 1
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := s.forged(t, b.ID, damage(bytes.Clone(whole)))
			if name == "nothing" {
				mustSay(t, "rehearse", bad.rehearse(t, 0, "--members", "5").stdout, `PROVEN`, `tested on: +5 members`)
				return
			}
			r := bad.rehearse(t, 10, "--members", "1")
			mustSay(t, "rehearse", r.stdout, `FAILED`, `(?m)^reason: +\S+`)
			mustSay(t, "rehearse", r.stderr, `lifeboat: error: the rehearsal failed: `, `lifeboat: hint: do not rely on this backup`)
		})
	}
}

// forged is a scene whose bucket holds the same backup with another database in it.
func (s *scene) forged(t *testing.T, id string, db []byte) *scene {
	t.Helper()
	sum := sha256.Sum256(db)
	plain := append(db, sum[:]...)
	file, err := os.Open(s.recipients)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	to, err := crypto.ParseRecipients(file, s.recipients)
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	seal, err := crypto.SealTo(&sealed, bytes.NewReader(plain), to)
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(s.bucket, "v1/default/manifests", id+".note"))
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := catalog.Decode(old, catalog.Trust{})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(plain)
	m.Plain.Size, m.Plain.SHA256 = int64(len(plain)), hex.EncodeToString(digest[:])
	m.Sealed.Size, m.Sealed.SHA256, m.Sealed.HeaderSHA256 = seal.Sealed.Size, seal.Sealed.SHA256, seal.HeaderSHA256
	note, err := catalog.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	bad := *s
	bad.bucket = t.TempDir()
	bad.sink = "file://" + bad.bucket
	for key, data := range map[string][]byte{m.Sealed.Key: sealed.Bytes(), "v1/default/manifests/" + id + ".note": note} {
		path := filepath.Join(bad.bucket, key)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &bad
}
