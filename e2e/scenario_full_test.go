package e2e

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// TestAClusterThatRanFullTakesWritesOnTheFlagsThatWerePrinted fills a cluster up to its quota, backs it up, loses it, and starts the restored
// members with what restore printed, word for word.
func TestAClusterThatRanFullTakesWritesOnTheFlagsThatWerePrinted(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.6", QuotaBytes: 8 << 20}, kubedata.Options{Keys: 50, Seed: 9})
	c := s.Client(t)
	value := strings.Repeat("x", 1<<20)
	for i := 0; ; i++ {
		_, err := c.Put(t.Context(), fmt.Sprint("/registry/configmaps/default/filling-", i), value)
		if errors.Is(err, rpctypes.ErrNoSpace) {
			break
		}
		if err != nil || i > 64 {
			t.Fatalf("write %d: %v", i, err)
		}
	}
	b := s.backup(t)
	if !slices.Contains(b.Source.Alarms, "NOSPACE") || b.Source.Quota != 8<<20 {
		t.Errorf("recorded are the alarms %q and a quota of %d", b.Source.Alarms, b.Source.Quota)
	}
	for i := range s.Members() {
		s.Kill(t, i)
	}
	r := restored(t, nil, "restore", b.ID, "--sink", s.sink, "--identity", s.identity, "--no-bump", "--out", filepath.Join(t.TempDir(), "out"))
	for _, m := range r.Members {
		startPrinted(t, "3.6", m.Name, m.Flags...)
	}
	again := awaitAll(t, nil, s.Endpoints()...)
	sameHash(t, again, b.HashKV.Revision, b.asWritten()) // which also writes
	for i := range 4 {
		if _, err := again.Put(t.Context(), fmt.Sprint("/registry/configmaps/default/more-", i), value); err != nil {
			t.Fatalf("write %d to the restored cluster: %v", i, err)
		}
	}
	if alarms, err := again.AlarmList(t.Context()); err != nil || len(alarms.Alarms) > 0 {
		t.Errorf("alarms of the restored cluster: %v, %v", alarms, err)
	}
	rev := headOf(t, again)
	awaitAll(t, nil, s.Endpoints()...)
	sameHash(t, again, rev, askHashes(t, again, s.Endpoints(), rev))
}
