package backup_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestMain(m *testing.M) {
	lab.Main(m, map[string]child.Role{snapshot.InspectRoleName: snapshot.InspectRole})
}

// plaintext is in a value of every cluster here, and must be nowhere but in etcd.
const plaintext = "plaintext-that-must-not-leave"

// cluster starts members that elect quickly, and fills them.
func cluster(t *testing.T, members int) *lab.Cluster {
	t.Helper()
	c := lab.StartCluster(t, lab.ClusterOptions{
		Version: "3.6", Members: members, Args: []string{"--heartbeat-interval=20", "--election-timeout=200"},
	})
	fill(t, c, 120)
	return c
}

func fill(t *testing.T, c *lab.Cluster, keys int) {
	t.Helper()
	client := c.Client(t)
	if _, err := kubedata.Fill(t.Context(), client, kubedata.Options{Keys: keys, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Put(t.Context(), "marker", plaintext); err != nil {
		t.Fatal(err)
	}
}

// A house is what is needed to back up one cluster over and over: keys, a spool, a clock.
type house struct {
	backup.Options
	ids []age.Identity
}

func newHouse(t *testing.T, endpoints []string, into ...sinks.Sink) *house {
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
	h := &house{ids: ids, Options: backup.Options{
		Cluster: "prod", Etcd: snapshot.Config{Endpoints: endpoints}, Recipients: to, SpoolDir: t.TempDir(),
		Tool: "test", Log: slog.New(slog.DiscardHandler),
	}}
	h.startClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
	for i, s := range into {
		h.Sinks = append(h.Sinks, catalog.Named{Name: string(rune('a' + i)), Sink: s})
	}
	return h
}

// startClock sets a clock that goes on by a second whenever it is looked at: ids then sort in the order of the runs.
func (h *house) startClock(at time.Time) {
	var mu sync.Mutex
	h.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(time.Second)
		return at
	}
}

// sign has what comes from now on signed by a new key, which alone is trusted.
func (h *house) sign(t *testing.T) {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, "prod")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	h.Signers, h.Trust = []note.Signer{signer}, catalog.Trust{Verifiers: note.VerifierList(verifier)}
}

// run takes a backup that is expected to succeed, if not in every sink.
func (h *house) run(t *testing.T) *backup.Result {
	t.Helper()
	r, err := backup.Run(t.Context(), h.Options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// latest is what somebody who restores would find, given what he trusts.
func latest(t *testing.T, trust catalog.Trust, in ...sinks.Sink) catalog.Entry {
	t.Helper()
	l := listing(t, trust, in...)
	e, _, err := l.Resolve("latest", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func listing(t *testing.T, trust catalog.Trust, in ...sinks.Sink) catalog.Listing {
	t.Helper()
	var named []catalog.Named
	for i, s := range in {
		named = append(named, catalog.Named{Name: string(rune('a' + i)), Sink: s})
	}
	l, err := catalog.List(t.Context(), named, "prod", trust)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// mustOpen opens a backup's payload with the identity and compares it with what its manifest promises.
func (h *house) mustOpen(t *testing.T, in sinks.Sink, m catalog.Manifest) []byte {
	t.Helper()
	o, err := crypto.Open(bytes.NewReader(object(t, in, m.Sealed.Key)), h.ids, m.Plain.Size)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := digest(plain); got != m.Plain.SHA256 || int64(len(plain)) != m.Plain.Size {
		t.Fatalf("the payload holds %d bytes, sha256 %s; the manifest promises %+v", len(plain), got, m.Plain)
	}
	return plain
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func object(t *testing.T, in sinks.Sink, key string) []byte {
	t.Helper()
	r, err := in.Open(t.Context(), key, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// keys lists what a sink holds, whoever asks.
func keys(t *testing.T, in sinks.Sink, prefix string) (all []string) {
	t.Helper()
	for o, err := range in.List(context.WithoutCancel(t.Context()), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o.Key)
	}
	return all
}

func mustHoldNoManifest(t *testing.T, in ...sinks.Sink) {
	t.Helper()
	for i, s := range in {
		if found := keys(t, s, manifests); len(found) > 0 {
			t.Errorf("sink %d holds %v", i, found)
		}
	}
}
