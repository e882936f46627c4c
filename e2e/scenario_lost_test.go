package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// TestWhatIsLostComesBackFromTheBucket loses two of three members, and once that is over all of them. Each time the members come back at their old
// addresses, on the flags that restore printed, word for word.
func TestWhatIsLostComesBackFromTheBucket(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.6"}, kubedata.Options{Keys: 300, Seed: 61, Leases: 5, Churn: 100, Compact: true})
	b := s.backup(t)
	head := headOf(t, s.Client(t))
	for _, i := range []int{1, 2} {
		s.Kill(t, i)
		if err := os.RemoveAll(s.Members()[i].DataDir); err != nil {
			t.Fatal(err)
		}
	}
	mustSay(t, "backup of the one that is left", s.try(t, nil).must(t, 4).stderr, `lifeboat: error: the cluster has no quorum`, `lifeboat: hint: .*--allow-no-quorum`)
	if all := s.stored(t); len(all) != 1 {
		t.Errorf("stored are %v", all)
	}
	s.Kill(t, 0)

	// As for Kubernetes: with the bump.
	restore := []string{"restore", "latest", "--sink", s.sink, "--identity", s.identity}
	first := restored(t, nil, append(slices.Clone(restore), "--out", filepath.Join(t.TempDir(), "first"))...)
	var kill []func()
	for _, m := range first.Members {
		kill = append(kill, startPrinted(t, "3.6", m.Name, m.Flags...))
	}
	c := awaitAll(t, nil, s.Endpoints()...)
	bumped(t, c, b.Revision, head)
	s.whole(t)

	// It is another cluster now: a person says that this was meant.
	again := s.backup(t)
	if !strings.Contains(again.said, "lifeboat accept "+again.ID) {
		t.Errorf("the first backup after it says\n%s", again.said)
	}
	lifeboat(t, "accept", again.ID, "--sink", s.sink).must(t, 0)
	for i, m := range first.Members {
		kill[i]()
		if err := os.RemoveAll(m.DataDir); err != nil {
			t.Fatal(err)
		}
	}
	second := restored(t, nil, append(slices.Clone(restore), "--no-bump", "--out", filepath.Join(t.TempDir(), "second"))...)
	for _, m := range second.Members {
		startPrinted(t, "3.6", m.Name, m.Flags...)
	}
	sameHash(t, awaitAll(t, nil, s.Endpoints()...), again.HashKV.Revision, again.asWritten())
	s.whole(t)
}
