package crosscheck_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/backup/crosscheck"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestMain(m *testing.M) {
	lab.Main(m, map[string]child.Role{snapshot.InspectRoleName: snapshot.InspectRole})
}

func start(t *testing.T, members int) *lab.Cluster {
	t.Helper()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: members, Args: []string{"--heartbeat-interval=20", "--election-timeout=200"}})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 200, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	return c
}

func options(t *testing.T, c *lab.Cluster) crosscheck.Options {
	return crosscheck.Options{Etcd: snapshot.Config{Endpoints: c.Endpoints()}, SpoolDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
}

// flip stops a member, changes one bit of the last value in its database as a failing disk would, and starts it again.
func flip(t *testing.T, c *lab.Cluster, i int) {
	t.Helper()
	c.Stop(t, i)
	db, err := bbolt.Open(filepath.Join(c.Members()[i].DataDir, "member", "snap", "db"), 0o600, &bbolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("key"))
		cursor := b.Cursor()
		key, packed := cursor.Last()
		for len(packed) < 200 { // long enough for its middle to be in the value
			key, packed = cursor.Prev()
		}
		changed := bytes.Clone(packed)
		changed[len(changed)/2] ^= 1
		return b.Put(bytes.Clone(key), changed)
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	c.Start(t, i)
	c.Await(t)
}

// different are the names of the members that a result names.
func different(r *crosscheck.Result) (names []string) {
	for _, m := range r.Members {
		if !m.OK {
			names = append(names, m.Name)
		}
	}
	return names
}

func run(t *testing.T, o crosscheck.Options) *crosscheck.Result {
	t.Helper()
	r, err := crosscheck.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAMemberThatDiffersIsNamedAndIsNoSourceUntilItIsEqualAgain(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	o := options(t, c)
	if r := run(t, o); !r.OK || len(r.Members) != 3 || len(different(r)) > 0 || r.Err() != nil {
		t.Fatalf("equal members: %+v", r)
	}
	// The one that a backup would take first.
	s := catalog.Named{Name: "mem:", Sink: mem.New()}
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	b := backup.Options{
		Cluster: "prod", Etcd: o.Etcd, Sinks: []catalog.Named{s}, Plain: true, SpoolDir: o.SpoolDir, Tool: "test", Log: o.Log,
		Now: func() time.Time { at = at.Add(time.Second); return at },
	}
	taken := func() catalog.Source {
		t.Helper()
		r, err := backup.Run(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		return r.Manifest.Source
	}
	bad := slices.IndexFunc(c.Members(), func(m lab.Member) bool { return m.Name == taken().MemberName })
	name := c.Members()[bad].Name
	flip(t, c, bad)

	r := run(t, o)
	var differ *crosscheck.DifferentError
	if r.OK || !slices.Equal(different(r), []string{name}) || !strings.Contains(r.Detail, name+" differs from the majority") || len(r.Members) != 3 {
		t.Fatalf("%s was changed: %+v", name, r)
	}
	if err := r.Err(); !errors.As(err, &differ) || !errors.Is(err, snapshot.ErrDamaged) || differ.Hint() == "" {
		t.Errorf("error %v", err)
	}
	report := func(r *crosscheck.Result) {
		t.Helper()
		l, err := catalog.List(t.Context(), []catalog.Named{s}, "prod", catalog.Trust{})
		if err != nil {
			t.Fatal(err)
		}
		n := r.Report()
		n.ID, n.Cluster, n.Time = l.Entries[len(l.Entries)-1].ID, "prod", b.Now()
		if err := catalog.PutReport(t.Context(), s, n); err != nil {
			t.Fatal(err)
		}
	}
	report(r)
	for range 4 {
		if got := taken(); got.MemberName == name {
			t.Errorf("a backup was taken from %s", name)
		}
	}
	b.Etcd.Endpoints = []string{c.Endpoints()[bad]}
	var none *backup.DifferentError
	if _, err := backup.Run(t.Context(), b); !errors.As(err, &none) || !errors.Is(err, snapshot.ErrUnavailable) || !strings.Contains(err.Error(), name) {
		t.Errorf("with nothing but it: %v", err)
	}

	// While it is away, what was found is kept in mind; and forgotten once it was seen to be equal.
	c.Stop(t, bad)
	before := r.Report()
	before.Time = at
	o.Before = &before
	if r := run(t, o); r.OK || !slices.Equal(different(r), []string{name}) || !strings.Contains(r.Detail, "not compared since") {
		t.Errorf("while it is away: %+v", r)
	}
	c.Start(t, bad)
	c.Await(t)
	flip(t, c, bad) // the bit as it was
	mended := run(t, o)
	if !mended.OK || len(mended.Members) != 3 {
		t.Errorf("mended: %+v", mended)
	}
	report(mended)
	if got := taken(); got.MemberName != name {
		t.Errorf("a backup of its only endpoint %s was taken from %s", name, got.MemberName)
	}
}

func TestOfTwoMembersTheOneThatDiffersFromTheBackupIsNamed(t *testing.T) {
	t.Parallel()
	c := start(t, 2)
	o := options(t, c)
	b := backup.Options{
		Cluster: "prod", Etcd: o.Etcd, Sinks: []catalog.Named{{Name: "mem:", Sink: mem.New()}}, Plain: true, SpoolDir: o.SpoolDir, Tool: "test", Log: o.Log, Now: time.Now,
	}
	taken, err := backup.Run(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	from := slices.IndexFunc(c.Members(), func(m lab.Member) bool { return m.Name == taken.Manifest.Source.MemberName })
	newest := &catalog.Entry{Manifest: taken.Manifest}
	flip(t, c, from)
	// Without a backup, and with one that only the member holds that it was taken from, nobody can be named.
	if r := run(t, o); r.OK || len(different(r)) > 0 || !strings.Contains(r.Detail, "cannot be told") {
		t.Errorf("without a backup: %+v", r)
	}
	o.Newest = newest
	if r := run(t, o); r.OK || !slices.Equal(different(r), []string{c.Members()[from].Name}) {
		t.Errorf("changed since it was backed up from %s: %+v", c.Members()[from].Name, r)
	}
	flip(t, c, from)
	flip(t, c, 1-from)
	if r := run(t, o); r.OK || len(different(r)) > 0 || !strings.Contains(r.Detail, "cannot be told") {
		t.Errorf("the other was changed, which only the source of the backup speaks against: %+v", r)
	}
}

// hook calls a function at each of a log's lines.
type hook struct{ at func(message string) }

func (*hook) Enabled(context.Context, slog.Level) bool { return true }
func (h *hook) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h *hook) WithGroup(string) slog.Handler          { return h }
func (h *hook) Handle(_ context.Context, r slog.Record) error {
	h.at(r.Message)
	return nil
}

func TestAClusterThatCompactsMeanwhileIsComparedAllTheSame(t *testing.T) {
	t.Parallel()
	c := start(t, 2)
	client := c.Client(t)
	o := options(t, c)
	var saves atomic.Int64
	compact := func(when int64) crosscheck.Options {
		saves.Store(0)
		o.Log = slog.New(&hook{func(message string) {
			if message != "saving" || saves.Add(1) < 2 || when > 0 && saves.Load() != when {
				return
			}
			var last *clientv3.PutResponse
			for range 3 {
				var err error
				if last, err = client.Put(t.Context(), "more", "of it"); err != nil {
					t.Error(err)
					return
				}
			}
			if _, err := client.Compact(t.Context(), last.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
				t.Error(err)
			}
			time.Sleep(300 * time.Millisecond) // until the other member has compacted, too
		}})
		return o
	}
	var reserved, held int64
	o.Reserve = func(_ context.Context, bytes int64) (func(), error) {
		reserved, held = reserved+1, held+bytes
		return func() { held -= bytes }, nil
	}
	if r := run(t, compact(2)); !r.OK || len(r.Members) != 2 || saves.Load() != 3 {
		t.Errorf("compacted before the second was saved: %d saves, %+v", saves.Load(), r)
	}
	if reserved != 1 || held != 0 {
		t.Errorf("room was asked for %d times, and %d bytes of it are held", reserved, held)
	}
	if r, err := crosscheck.Run(t.Context(), compact(0)); !errors.Is(err, snapshot.ErrUnavailable) || saves.Load() > 8 {
		t.Errorf("compacted before every save: %d saves, %+v, %v", saves.Load(), r, err)
	}
}

func TestOneMemberAloneIsNoComparison(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	o := options(t, c)
	o.Etcd.Endpoints = c.Endpoints()[:1]
	if r, err := crosscheck.Run(t.Context(), o); !errors.Is(err, snapshot.ErrUnavailable) {
		t.Errorf("%+v %v", r, err)
	}
}
