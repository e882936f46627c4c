package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/internal/member"
)

// TestTheRemedyForAnUpgradeThatPanicsIsOne does to a real member what an upgrade without a raft snapshot does, and then what the page about upgrades
// and a failed rehearsal advise: the old binary again, a raft snapshot, and then the new one. doctor sees the cause in the data directory while it is there.
func TestTheRemedyForAnUpgradeThatPanicsIsOne(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.5", Members: 1}, kubedata.Options{Keys: 100, Seed: 81})
	rev := headOf(t, s.Client(t))
	want := askHashes(t, s.Client(t), s.Endpoints(), rev)
	run := func(version string, more ...string) {
		s.Stop(t, 0)
		s.Change(0, func(m *member.Spec) { m.Binary, m.Args = lab.Tool(t, "etcd-"+version, "etcd"), more })
		s.Launch(t, 0)
	}
	run("3.6")
	s.Await(t, 0)
	run("3.7")
	select {
	case <-s.Process(0).Done():
		mustSay(t, "3.7", s.Process(0).Err().Error(), `panic: .*unmarshal should never fail`)
	case <-time.After(3 * time.Minute):
		t.Fatal("3.7 starts on what 3.5 has left in the log: the page and the remedy are no longer needed")
	}
	doctor := func(version string) string {
		return lifeboat(t, "doctor", "--data-dir", s.Members()[0].DataDir, "--etcd-version", version).must(t, 0).stdout
	}
	if said := doctor("3.6"); strings.Contains(said, "CRITICAL") {
		t.Errorf("doctor finds that 3.6 does not start on it:\n%s", said)
	}
	mustSay(t, "doctor", doctor("3.7"), `CRITICAL .*etcd 3\.7 dies of .*\[v2-leftovers\]`)
	run("3.6", "--snapshot-count=5")
	s.Await(t, 0)
	for i := range 20 {
		if _, err := s.Client(t).Put(t.Context(), "lifeboat/settle", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	s.Stop(t, 0)
	if said := doctor("3.7"); strings.Contains(said, "CRITICAL") {
		t.Errorf("doctor still finds it after the remedy:\n%s", said)
	}
	run("3.7")
	s.Await(t, 0)
	sameHash(t, s.Client(t), rev, want)
}
