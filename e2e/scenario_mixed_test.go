package e2e

import (
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/internal/member"
)

// TestMixedVersionsAndLostQuorumAreOnRecord backs a cluster up in the middle of its upgrade, and again when most of its members are gone:
// the manifest says both, for whoever has only the bucket.
func TestMixedVersionsAndLostQuorumAreOnRecord(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.6"}, kubedata.Options{Keys: 200, Seed: 17})
	for _, i := range []int{0, 1} {
		s.Change(i, func(m *member.Spec) { m.Binary = lab.Tool(t, "etcd-3.7", "etcd") })
		s.Stop(t, i)
		s.Start(t, i)
	}
	s.whole(t)
	b := s.recordedAs(t, "default", s.backup(t).ID)
	want := map[string]string{"m1": "3.7.", "m2": "3.7.", "m3": "3.6."}
	if !b.Quorum || len(b.Source.Members) != 3 {
		t.Errorf("recorded are %+v", b)
	}
	for _, m := range b.Source.Members {
		if !strings.HasPrefix(m.ServerVersion, want[m.Name]) {
			t.Errorf("%s is recorded with etcd %q, want %s", m.Name, m.ServerVersion, want[m.Name])
		}
	}
	text := lifeboat(t, "show", b.ID, "--sink", s.sink).must(t, 0).stdout
	mustSay(t, "show", text, ` on etcd 3\.[67]\.\d+`)
	s.comesBack(t, "3.6", b) // a cluster counts as 3.7 only when all its members are

	s.Kill(t, 0)
	s.Kill(t, 1)
	b = s.recordedAs(t, "default", takenBy(t, s.try(t, nil, "--allow-no-quorum").must(t, 3)).ID)
	if b.Quorum || b.LinearizableRevision != 0 || b.Source.MemberName != "m3" {
		t.Errorf("recorded are %+v", b)
	}
	for _, m := range b.Source.Members {
		if known := m.ServerVersion != ""; known != (m.Name == "m3") {
			t.Errorf("%s is recorded with etcd %q", m.Name, m.ServerVersion)
		}
	}
	s.comesBack(t, "3.6", b)
}
