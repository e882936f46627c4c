package backup_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestAMemberThatFailsIsLeftForTheNextFromZero(t *testing.T) {
	t.Parallel()
	c := cluster(t, 2)
	old := &front{}
	stale, err := fetch(t.Context(), old.before(t, c.Endpoints()[0]).maintenance)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Client(t).Put(t.Context(), "later", "than the old snapshot"); err != nil {
		t.Fatal(err)
	}
	for name, first := range map[string]func(b *between, s stream, file []byte) error{
		"refuses": func(*between, stream, []byte) error { return status.Error(codes.Unavailable, "no") },
		"is killed": func(b *between, s stream, file []byte) error {
			return errors.Join(send(s, file, len(file)/2), b.die(s))
		},
		"ends too soon": func(_ *between, s stream, file []byte) error { return send(s, file, len(file)-40) },
		"stalls": func(_ *between, s stream, file []byte) error {
			defer func() { <-s.Context().Done() }()
			return send(s, file, 1000)
		},
		// Longer than what comes next: nothing of it may be left behind.
		"is no database": func(_ *between, s stream, file []byte) error {
			long := inverted(file, 3)
			return send(s, long, len(long))
		},
		"has a wrong bit": func(_ *between, s stream, file []byte) error { file[len(file)/2] ^= 1; return send(s, file, len(file)) },
		"is stale":        func(_ *between, s stream, _ []byte) error { return send(s, stale, len(stale)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, s := &front{first: first}, mem.New()
			h := newHouse(t, f.serve(t, c.Endpoints()), s)
			if name == "stalls" {
				h.Stall = 2 * time.Second
			}
			began := time.Now()
			r := h.run(t)
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			if len(f.asked) != 2 || f.asked[0] == f.asked[1] {
				t.Fatalf("asked were %v", f.asked)
			}
			if r.Manifest.Source.Endpoint != f.asked[1] {
				t.Errorf("the source is said to be %s, and was %s", r.Manifest.Source.Endpoint, f.asked[1])
			}
			if plain := h.mustOpen(t, s, r.Manifest); !bytes.Equal(plain, f.files[1]) {
				t.Error("the payload is not what the second member sent")
			}
			if stored := keys(t, s, ""); len(stored) != 2 {
				t.Errorf("stored are %v", stored)
			}
		})
	}
}

// TestWhatTheInspectionRefusesIsNeverCommitted has a member send a file whose head can be read and whose digest is right, and which is
// damaged inside: the sinks have it by the time that is found.
func TestWhatTheInspectionRefusesIsNeverCommitted(t *testing.T) {
	t.Parallel()
	c := cluster(t, 2)
	client, marker := c.Client(t), "the-first-of-many"
	for i := range 300 {
		if _, err := client.Put(t.Context(), fmt.Sprintf("%s-%03d", marker, i), strings.Repeat("x", 1000)); err != nil {
			t.Fatal(err)
		}
	}
	f := &front{first: func(_ *between, s stream, file []byte) error {
		damaged := misnumbered(file, marker+"-000")
		return send(s, damaged, len(damaged))
	}}
	a, b := mem.New(), mem.New()
	h := newHouse(t, f.serve(t, c.Endpoints()), a, b)
	var warned bytes.Buffer
	h.Log = slog.New(slog.NewTextHandler(&warned, nil))
	r := h.run(t)
	_, beside, ok := strings.Cut(warned.String(), "phase=upload")
	if len(f.asked) != 2 || r.Manifest.Source.Endpoint != f.asked[1] || !ok || !strings.Contains(beside, "member left for the next one") {
		t.Errorf("asked were %v, the source is %s; the log:\n%s", f.asked, r.Manifest.Source.Endpoint, &warned)
	}
	for _, s := range []*mem.Sink{a, b} {
		if m := keys(t, s, "v1/prod/manifests/"); len(m) != 1 || !strings.Contains(m[0], string(r.Manifest.ID)) {
			t.Errorf("manifests are %v, and the backup is %s", m, r.Manifest.ID)
		}
		if plain := h.mustOpen(t, s, r.Manifest); !bytes.Equal(plain, f.files[1]) {
			t.Error("the payload is not what the second member sent")
		}
	}

	// With nobody to go on to, nothing is committed at all.
	s := mem.New()
	h = newHouse(t, (&front{first: f.first}).serve(t, c.Endpoints()[:1]), s)
	var none *backup.NoSnapshotError
	if r, err := backup.Run(t.Context(), h.Options); r != nil || !errors.Is(err, snapshot.ErrDamaged) || !errors.As(err, &none) {
		t.Errorf("result %v, error %v", r, err)
	}
	if m := keys(t, s, "v1/prod/manifests/"); len(m) > 0 {
		t.Errorf("manifests are %v", m)
	}
}

// misnumbered gives every page that holds the text another number in its header, and the file the trailer that fits.
func misnumbered(file []byte, text string) []byte {
	const page = 4096
	damaged := bytes.Clone(file)
	body := damaged[:len(damaged)-sha256.Size]
	for off := 0; ; {
		i := bytes.Index(body[off:], []byte(text))
		if i < 0 {
			break
		}
		body[(off+i)/page*page] ^= 1
		off += i + len(text)
	}
	sum := sha256.Sum256(body)
	copy(damaged[len(body):], sum[:])
	return damaged
}

func TestASnapshotOlderThanTheClusterWasIsRefused(t *testing.T) {
	t.Parallel()
	c := cluster(t, 1)
	f := &front{}
	stale, err := fetch(t.Context(), f.before(t, c.Endpoints()[0]).maintenance)
	if err != nil {
		t.Fatal(err)
	}
	put, err := c.Client(t).Put(t.Context(), "later", "than the old snapshot")
	if err != nil {
		t.Fatal(err)
	}
	f.first = func(_ *between, s stream, _ []byte) error { return send(s, stale, len(stale)) }
	s := mem.New()
	h := newHouse(t, f.serve(t, c.Endpoints()), s)
	var none *backup.NoSnapshotError
	if r, err := backup.Run(t.Context(), h.Options); r != nil || !errors.Is(err, snapshot.ErrStale) || !errors.As(err, &none) || none.Hint() == "" {
		t.Errorf("result %v, error %v", r, err)
	}
	if stored := keys(t, s, ""); len(stored) > 0 {
		t.Errorf("stored are %v", stored)
	}
	// The same member, once it has caught up.
	if m := h.run(t).Manifest; m.LinearizableRevision != put.Header.Revision || m.Revision < m.LinearizableRevision || !m.Quorum {
		t.Errorf("revision %d, linearizable %d, and the last write was %d", m.Revision, m.LinearizableRevision, put.Header.Revision)
	}
}

func TestWithoutQuorumNothingIsStoredUnlessAllowed(t *testing.T) {
	t.Parallel()
	c := cluster(t, 2)
	c.Kill(t, 1)
	s := mem.New()
	h := newHouse(t, c.Endpoints(), s)
	h.Etcd.RequestTimeout = time.Second
	_, err := backup.Run(t.Context(), h.Options)
	var none *backup.NoQuorumError
	if !errors.As(err, &none) || !errors.Is(err, snapshot.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	if stored := keys(t, s, ""); len(stored) > 0 {
		t.Errorf("stored are %v", stored)
	}
	h.AllowNoQuorum = true
	r := h.run(t)
	if e := latest(t, catalog.Trust{}, s); e.ID != r.Manifest.ID || e.Quorum || e.LinearizableRevision != 0 {
		t.Errorf("latest is %s, quorum %v, linearizable revision %d", e.ID, e.Quorum, e.LinearizableRevision)
	}
	h.mustOpen(t, s, r.Manifest)
}

func TestMembersAreComparedOnlyWhereAsked(t *testing.T) {
	t.Parallel()
	c := cluster(t, 1)
	s := mem.New()
	b := (&front{}).before(t, c.Endpoints()[0])
	h := newHouse(t, []string{b.url}, s)
	b.hash = 1 // a member whose data is other than it should be
	if m := h.run(t).Manifest; len(m.HashKV.Members) > 0 {
		t.Errorf("compared with %v", m.HashKV.Members)
	}
	h.Attest = true
	if r, err := backup.Run(t.Context(), h.Options); r != nil || !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("result %v, error %v", r, err)
	}
	b.hash = 0
	if m := h.run(t).Manifest; !slices.Equal(m.HashKV.Members, []string{"m1"}) {
		t.Errorf("compared with %v", m.HashKV.Members)
	}
}

func TestNoPlaintextIsEverOnDiskOrInASink(t *testing.T) { // not parallel: it has a temporary directory of its own
	c := cluster(t, 1)
	s := mem.New()
	h := newHouse(t, c.Endpoints(), s)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	looks := 0
	look := func(when string) {
		looks++
		for _, dir := range []string{h.SpoolDir, tmp} {
			found, err := os.ReadDir(dir)
			if err != nil || len(found) > 0 {
				t.Errorf("%s: %s holds %v, error %v", when, dir, found, err)
			}
		}
	}
	h.Log = slog.New(&phases{look})
	r := h.run(t)
	look("after")
	if looks != 7 {
		t.Errorf("looked %d times", looks)
	}
	if !bytes.Contains(h.mustOpen(t, s, r.Manifest), []byte(plaintext)) {
		t.Error("the marker is not even in the backup")
	}
	for _, key := range keys(t, s, "") {
		if bytes.Contains(object(t, s, key), []byte(plaintext)) {
			t.Errorf("%s holds plaintext", key)
		}
	}
	h.Recipients = nil // no key is no reason to do without
	if r, err := backup.Run(t.Context(), h.Options); r != nil || err == nil {
		t.Errorf("without a recipient: result %v, error %v", r, err)
	}
	if stored := keys(t, s, ""); len(stored) != 2 {
		t.Errorf("stored are %v", stored)
	}
}

func TestASpoolThatCannotBeMadeFailsBeforeEtcdIsAsked(t *testing.T) {
	t.Parallel()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	var asked atomic.Int32
	go func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			_ = conn.Close()
		}
	}()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, []string{"http://" + lis.Addr().String()}, mem.New())
	for _, dir := range []string{file, filepath.Join(file, "below"), filepath.Join(t.TempDir(), "missing"), "/proc"} {
		h.SpoolDir = dir
		if _, err := backup.Run(t.Context(), h.Options); !errors.Is(err, snapshot.ErrSpool) {
			t.Errorf("%s: error %v", dir, err)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("etcd was asked %d times", n)
	}
}
