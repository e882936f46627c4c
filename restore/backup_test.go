package restore

import (
	"bytes"
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// A stored backup is in a sink, with what opens it.
type stored struct {
	entry  catalog.Entry
	ids    []age.Identity
	sealed []byte
	sink   sinks.Sink
}

var taken = time.Date(2026, 11, 20, 14, 50, 0, 0, time.UTC)

// store makes a backup of a snapshot file: sealed, put, with a manifest, and found again.
func store(t testing.TB, path string, in sinks.Sink, encrypted bool) stored {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	src := fileSource(t, path)
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	to, err := crypto.ParseRecipients(strings.NewReader(id.Recipient().String()), "test")
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	var seal *crypto.Seal
	if encrypted {
		seal, err = crypto.SealTo(&sealed, bytes.NewReader(data), to)
	} else {
		seal, err = crypto.SealPlain(&sealed, bytes.NewReader(data))
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := catalog.NewID(taken, src.Revision, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := catalog.Manifest{
		ID: name, Cluster: "prod", Sequence: 1, Lineage: catalog.Lineage{First: name, EtcdClusterID: 7},
		Started: taken, Finished: taken.Add(time.Second), Quorum: true, Revision: src.Revision, CompactRevision: src.Hash.CompactRevision,
		LiveKeys: src.LiveKeys, Kubernetes: src.Kubernetes,
		HashKV: catalog.HashKV{Hash: src.Hash.Hash, Revision: src.Hash.Revision, CompactRevision: src.Hash.CompactRevision},
		Plain:  catalog.Plain{Size: src.Size, SHA256: src.SHA256, TrailerOK: true},
		Sealed: catalog.Sealed{
			Key: catalog.SealedKey("prod", name, encrypted), Size: seal.Sealed.Size, SHA256: seal.Sealed.SHA256,
			Compression: seal.Compression, Stanzas: seal.Stanzas, Fingerprints: seal.Fingerprints, HeaderSHA256: seal.HeaderSHA256,
		},
		Source: catalog.Source{
			ServerVersion: "3.4.23", Quota: 1 << 30, Alarms: []string{},
			Members: []catalog.Member{
				{Name: "m1", PeerURLs: []string{"https://10.0.0.5:2380"}, ClientURLs: []string{"https://10.0.0.5:2379"}},
				{Name: "m2", PeerURLs: []string{"https://10.0.0.6:2380"}, ClientURLs: []string{"https://10.0.0.6:2379"}},
				{Name: "m3", PeerURLs: []string{"https://10.0.0.7:2380"}, ClientURLs: []string{"https://10.0.0.7:2379"}},
			},
		},
	}
	s := stored{ids: []age.Identity{id}, sealed: sealed.Bytes(), sink: in}
	note, err := catalog.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s.sink, m.Sealed.Key, s.sealed)
	if err := catalog.Commit(t.Context(), catalog.Named{Name: "mem", Sink: s.sink}, note); err != nil {
		t.Fatal(err)
	}
	l, err := catalog.List(t.Context(), s.named(), "prod", catalog.Trust{})
	if err != nil {
		t.Fatal(err)
	}
	if s.entry, _, err = l.Resolve(string(name), taken); err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, s sinks.Sink, key string, data []byte) {
	t.Helper()
	if err := s.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
}

func (s stored) named() []catalog.Named { return []catalog.Named{{Name: "mem", Sink: s.sink}} }

func (s stored) deps() Deps {
	return Deps{Sinks: s.named(), Identities: s.ids, Now: func() time.Time { return taken.Add(time.Hour) }}
}

// plan restores all members of the source.
func (s stored) plan(out string) Plan {
	return Plan{Source: FromBackup(s.entry, string(s.entry.ID)), Out: out}
}

// oldBackup is a backup of the recorded snapshot of etcd 3.4: small, and with all that a database of Kubernetes has.
func oldBackup(t testing.TB) stored {
	t.Helper()
	path, _ := oldFile(t)
	return store(t, path, mem.New(), true)
}

// A witness collects what a restore reports about itself.
type witness struct {
	mu     sync.Mutex
	points []string
}

func (w *witness) at(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.points = append(w.points, name)
	return nil
}

// equalHash holds a restored database against its source, offline.
func equalHash(t testing.TB, db string, want snapshot.Hash) {
	t.Helper()
	f, err := os.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := snapshot.Inspect(t.Context(), f, snapshot.InspectOptions{
		Raw: true, HashAt: &snapshot.HashPoint{Revision: want.Revision, CompactRevision: want.CompactRevision},
	})
	if err != nil {
		t.Fatal(err)
	}
	if info.Hash != want {
		t.Errorf("%s has %+v, the source %+v", db, info.Hash, want)
	}
}

// oldFile is the recorded snapshot of etcd 3.4 as a local file.
func oldFile(t testing.TB) (string, lab.Figures) {
	t.Helper()
	return lab.Snapshot34(t)
}

// flip changes one bit of a file.
func flip(t testing.TB, path string, off int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}
