package faults_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const (
	clusterName = "prod"
	foreign     = 0xbad // the id of a cluster that was wiped and made anew
)

// A scene is what two sinks hold before something is done to them: earlier backups of a cluster, one of them held by a mark that only
// the second sink has, two of them proven, and a suspect one of a foreign cluster. It never changes: every case works on sinks of its own.
type scene struct {
	options backup.Options // but for sinks and clock
	ids     []age.Identity
	at      time.Time // when the case begins
	held    [2]map[string][]byte
	before  catalog.Listing
	store   func() sinks.Sink // makes an empty one
	was     map[string][]byte // of the first sink, before damage was done; nil if none was
}

// newScene takes the earlier backups, one a day, of the recorded cluster.
func newScene(t *testing.T) *scene {
	t.Helper()
	own := lab.StartRecorded(t, 0).URL
	return sceneOf(t, own, own, own, lab.StartRecorded(t, foreign).URL)
}

// sceneOf takes a backup of each endpoint, the first of which is what is backed up later.
func sceneOf(t *testing.T, from ...string) *scene {
	t.Helper()
	s := &scene{at: time.Date(2024, 3, 4, 12, 0, 0, 0, time.UTC), store: func() sinks.Sink { return mem.New() }}
	s.options, s.ids = newOptions(t, from[0])
	into := named(mem.New(), mem.New())
	for _, from := range from {
		o := s.options
		o.Etcd.Endpoints, o.Sinks, o.Now = []string{from}, into, clock(s.at)
		r, err := backup.Run(t.Context(), o)
		if err != nil || len(r.Failed()) > 0 {
			t.Fatal(err, r)
		}
		if s.at = s.at.AddDate(0, 0, 1); len(s.before.Entries) == 0 {
			s.hold(t, into[1], r.Manifest.ID)
		}
		if len(s.before.Entries) < 2 {
			s.prove(t, into, r.Manifest.ID)
		}
		s.before = list(t, into)
	}
	for i := range into {
		s.held[i] = objects(t, into[i])
	}
	first, last := s.before.Entries[0], s.before.Entries[len(from)-1]
	suspect := from[len(from)-1] != from[0]
	if _, proven := first.Proven(); len(s.before.Entries) != len(from) || !first.Held || !proven || len(last.Doubts) > 0 != suspect || len(first.Doubts) > 0 {
		t.Fatalf("the scene is not what it should be: %+v", s.before)
	}
	return s
}

func (s *scene) hold(t *testing.T, in catalog.Named, id catalog.ID) {
	t.Helper()
	m := catalog.Mark{ID: id, Cluster: clusterName, Mark: catalog.MarkHold, Time: s.at, Reason: "before the upgrade"}
	if err := catalog.PutMark(t.Context(), in, m); err != nil {
		t.Fatal(err)
	}
}

func (s *scene) prove(t *testing.T, into []catalog.Named, id catalog.ID) {
	t.Helper()
	for _, n := range into {
		r := catalog.Report{ID: id, Cluster: clusterName, Report: catalog.ReportVerify, Time: s.at, OK: true, Deep: true}
		if err := catalog.PutReport(t.Context(), n, r); err != nil {
			t.Fatal(err)
		}
	}
}

// newOptions is how a cluster is backed up, and what opens the backups.
func newOptions(t *testing.T, endpoints ...string) (backup.Options, []age.Identity) {
	t.Helper()
	text, public, err := crypto.GenerateIdentity(true, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup.key")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	ids, err := crypto.LoadIdentities(file)
	if err != nil {
		t.Fatal(err)
	}
	to, err := crypto.ParseRecipients(strings.NewReader(public), "generated")
	if err != nil {
		t.Fatal(err)
	}
	return backup.Options{
		Cluster: clusterName, Etcd: snapshot.Config{Endpoints: endpoints}, Recipients: to, SpoolDir: t.TempDir(), Tool: "test",
		Log: slog.New(slog.DiscardHandler),
	}, ids
}

// clock goes on by a second whenever it is looked at.
func clock(at time.Time) func() time.Time {
	var mu sync.Mutex
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(time.Second)
		return at
	}
}

// named gives sinks the names a, b, ….
func named(ss ...sinks.Sink) (all []catalog.Named) {
	for i, s := range ss {
		all = append(all, catalog.Named{Name: string(rune('a' + i)), Sink: s})
	}
	return all
}

// set makes new sinks that hold what the scene's do.
func (s *scene) set(t *testing.T) []catalog.Named {
	t.Helper()
	ss := named(s.store(), s.store())
	s.fill(t, ss)
	return ss
}

// fill puts the scene's objects into empty sinks.
func (s *scene) fill(t *testing.T, ss []catalog.Named) {
	t.Helper()
	for i, n := range ss {
		for key, data := range s.held[i] {
			if err := n.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// list is what a reader finds.
func list(t *testing.T, in []catalog.Named) catalog.Listing {
	t.Helper()
	l, err := catalog.List(t.Context(), in, clusterName, catalog.Trust{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// objects is all that a sink holds.
func objects(t *testing.T, in catalog.Named) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for o, err := range in.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := object(t.Context(), in, o.Key)
		if err != nil {
			t.Fatal(err)
		}
		all[o.Key] = data
	}
	return all
}

func object(ctx context.Context, in sinks.Sink, key string) ([]byte, error) {
	r, err := in.Open(ctx, key, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// opens looks whether a sink's copy of a backup opens with the identity and is what its manifest promises.
func (s *scene) opens(t *testing.T, in catalog.Named, m catalog.Manifest) {
	t.Helper()
	data, err := object(t.Context(), in, m.Sealed.Key)
	if err != nil {
		t.Error(err)
		return
	}
	o, err := crypto.Open(bytes.NewReader(data), s.ids, m.Plain.Size)
	if err == nil {
		_, err = io.Copy(io.Discard, o)
	}
	if err != nil {
		t.Errorf("%s in %s does not open: %v", m.ID, in.Name, err)
		return
	}
	if got := o.Plain(); got.SHA256 != m.Plain.SHA256 || got.Size != m.Plain.Size {
		t.Errorf("%s in %s holds %+v, and its manifest promises %+v", m.ID, in.Name, got, m.Plain)
	}
}
