package rehearsal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// unreachable is a sink that cannot be asked.
type unreachable struct{ sinks.Sink }

func (unreachable) Open(context.Context, string, int64) (io.ReadCloser, error) {
	return nil, &sinks.Error{Op: "open", Sink: "far away", Err: errors.New("no route to host")}
}

// damage changes a byte of the sealed file in a sink.
func damage(t *testing.T, s sinks.Sink, key string) {
	t.Helper()
	r, err := s.Open(t.Context(), key, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	all[len(all)/2] ^= 1
	if err := errors.Join(s.Delete(t.Context(), key), s.Put(t.Context(), key, bytes.NewReader(all), int64(len(all)))); err != nil {
		t.Fatal(err)
	}
}

// TestOfABackupInTwoSinksOneWholeCopyIsEnough rehearses a real backup, then damages one copy after the other.
func TestOfABackupInTwoSinksOneWholeCopyIsEnough(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{TLS: true})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 300, Seed: 4}); err != nil {
		t.Fatal(err)
	}
	text, recipient, err := crypto.GenerateIdentity(false, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ids, err := age.ParseHybridIdentity(secretOf(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	to, err := crypto.ParseRecipients(strings.NewReader(recipient), "recipient")
	if err != nil {
		t.Fatal(err)
	}
	first, second := mem.New(), mem.New()
	both := []catalog.Named{{Name: "first", Sink: first}, {Name: "second", Sink: second}}
	taken, err := backup.Run(t.Context(), backup.Options{
		Cluster: "c", Etcd: snapshot.Config{Endpoints: c.Endpoints(), CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile},
		Sinks: both, Recipients: to, Attest: true, SpoolDir: t.TempDir(), Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := catalog.List(t.Context(), both, "c", catalog.Trust{})
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := list.Resolve("latest", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	try := func(ss []catalog.Named) (*Report, error) {
		o := Options{Plan: restore.Plan{Source: restore.FromBackup(e, "latest")}, Members: 1, Dir: t.TempDir()}
		return Run(t.Context(), o, restore.Deps{Sinks: ss, Identities: []age.Identity{ids}})
	}

	r, err := try(both)
	if err != nil {
		t.Fatal(err)
	}
	wantPassed(t, r)
	if len(r.Backup.MembersCompared) != 3 || r.OpenedWith != to[0].Fingerprint() || r.Backup.Signed || r.Backup.Cluster != "c" {
		t.Errorf("the report says %+v, opened with %q", r.Backup, r.OpenedWith)
	}

	damage(t, first, taken.Manifest.Sealed.Key)
	if r, err = try(both); err != nil {
		t.Fatal(err)
	}
	wantPassed(t, r)
	if i := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == CheckRestore }); !strings.Contains(r.Checks[i].Detail, "first") {
		t.Errorf("the damaged copy is not told: %s", r.Checks[i])
	}

	gone := []catalog.Named{both[0], {Name: "second", Sink: unreachable{second}}}
	if r, err := try(gone); err == nil {
		t.Errorf("a verdict although a copy could not be asked for: %+v", r)
	}

	damage(t, second, taken.Manifest.Sealed.Key)
	if r, err = try(both); err != nil {
		t.Fatal(err)
	}
	if r.Passed || !strings.HasPrefix(r.Reason, CheckRestore) || r.Backup.ID != string(taken.Manifest.ID) {
		t.Errorf("passed is %t, %s: %s", r.Passed, r.Backup.ID, r.Reason)
	}
	var table strings.Builder
	if err := r.Table(&table); err != nil || !strings.Contains(table.String(), "opened with: unproven: it was not restored") {
		t.Errorf("%v\n%s", err, &table)
	}
}

// secretOf is the line of an identity file that holds the key.
func secretOf(text string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "AGE-SECRET-KEY") {
			return strings.TrimSpace(line)
		}
	}
	return fmt.Sprintf("no key in %d bytes", len(text))
}
