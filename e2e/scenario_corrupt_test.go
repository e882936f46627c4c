package e2e

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// TestACorruptedMemberIsNamedAndIsNoSourceUntilItIsEqualAgain changes a value in the database of the member that a backup would take first, as a failing
// disk does. The comparison names it, no backup is taken from it, wherever it stands, and when it has been replaced it is a source again.
func TestACorruptedMemberIsNamedAndIsNoSourceUntilItIsEqualAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.6", TLS: true}, kubedata.Options{Keys: 300, Seed: 23})
	bad := s.place(t, s.backup(t).Source.MemberName)
	name, url := s.Members()[bad].Name, s.Members()[bad].ClientURL
	s.Stop(t, bad)
	if err := flipValue(s.Members()[bad].DataDir); err != nil {
		t.Fatal(err)
	}
	s.Start(t, bad)
	s.Await(t, 0, 1, 2)

	r := s.crossCheck(t, 7)
	mustSay(t, "verify --cross-check", r.stdout, name+` +[0-9a-f]+ +DIFFERENT: differs from the majority`)
	mustSay(t, "verify --cross-check", r.stderr, `the members do not hold the same data: `+name+` differs`, `lifeboat: hint: .*replace the member`)
	if n := strings.Count(r.stdout, "DIFFERENT"); n != 1 {
		t.Errorf("%d members are named:\n%s", n, r.stdout)
	}
	first := append([]string{url}, slices.DeleteFunc(s.Endpoints(), func(e string) bool { return e == url })...)
	for _, leads := range []bool{true, false} {
		s.letLead(t, func(i int) bool { return (i == bad) == leads })
		b := s.backup(t, first...)
		if b.Source.MemberName == name {
			t.Errorf("a backup was taken from %s, which leads: %t", name, leads)
		}
		mustSay(t, "backup", b.said, `endpoint=`+url+` .*cross-check`)
		if leads {
			s.comesBack(t, "3.6", b)
		}
	}
	before := s.stored(t)
	mustSay(t, "backup of nothing but it", s.try(t, []string{url}).must(t, 4).stderr, name, `lifeboat: hint: .*verify --cross-check`)
	if after := s.stored(t); !slices.Equal(after, before) {
		t.Errorf("stored are %v", after)
	}

	s.replaceMember(t, bad)
	s.crossCheck(t, 0)
	if b := s.backup(t, url); b.Source.MemberName != name {
		t.Errorf("a backup of nothing but %s was taken from %s", name, b.Source.MemberName)
	}
	s.whole(t)
}

func (s *scene) crossCheck(t *testing.T, code int) ran {
	t.Helper()
	return lifeboat(t, append([]string{"verify", "--cross-check", "--sink", s.sink}, etcdFlags(s.Cluster)...)...).must(t, code)
}

// letLead has the leadership handed over until it is where it is wanted.
func (s *scene) letLead(t *testing.T, wanted func(place int) bool) {
	t.Helper()
	c, conf := s.Client(t), s.ClientTLS(t)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		there := false
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := s.moveLeader(ctx, c, conf, func(leader int) int {
			if there = wanted(leader); there {
				return leader
			}
			for i := range s.Members() {
				if wanted(i) {
					return i
				}
			}
			return leader
		})
		cancel()
		if there {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the leadership does not move: %v", err)
		}
	}
}

// replaceMember does what the page about a lost member says, in short: remove it, and add it again with an empty directory.
func (s *scene) replaceMember(t *testing.T, i int) {
	t.Helper()
	m := s.Members()[i]
	c := s.Client(t)
	all, err := c.MemberList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Stop(t, i)
	for _, each := range all.Members {
		if each.Name == m.Name {
			s.retry(t, func(ctx context.Context) error { _, err := c.MemberRemove(ctx, each.ID); return err })
		}
	}
	s.retry(t, func(ctx context.Context) error { _, err := c.MemberAdd(ctx, []string{m.PeerURL}); return err })
	s.StartEmpty(t, i)
}

// retry does what the others refuse until they have noticed that a member is gone.
func (s *scene) retry(t *testing.T, do func(ctx context.Context) error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := do(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// flipValue changes one bit of the last value in a database, which no checksum of etcd notices.
func flipValue(dataDir string) error {
	db, err := bbolt.Open(filepath.Join(dataDir, "member", "snap", "db"), 0o600, &bbolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return err
	}
	return errors.Join(db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("key"))
		cursor := b.Cursor()
		for key, record := cursor.Last(); key != nil; key, record = cursor.Prev() {
			if len(record) > 300 { // its middle is in the value
				changed := bytes.Clone(record)
				changed[len(changed)*2/3] ^= 1
				return b.Put(bytes.Clone(key), changed)
			}
		}
		return errors.New("no value to change")
	}), db.Close())
}
