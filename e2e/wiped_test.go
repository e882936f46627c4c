package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// TestTheStoryOfTheWipedCluster: ten backups; then somebody removes the data directories and starts the cluster again by the same script,
// and the schedule goes on, with 30 more backups, and prunes that keep the last twelve. The ten are still there, latest is the tenth, and
// every command says why. Accepting the new cluster, had that been meant, thaws them.
func TestTheStoryOfTheWipedCluster(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 400, Seed: 31}); err != nil {
		t.Fatal(err)
	}
	k, bucket := newKeys(t), lab.Dir(t)
	sink := []string{"--sink", "file://" + bucket}
	backup := func(key string) (id string) {
		t.Helper()
		if _, err := c.Client(t).Put(t.Context(), "/registry/configmaps/default/"+key, "value"); err != nil {
			t.Fatal(err)
		}
		var b struct{ ID string }
		args := append(slices.Concat([]string{"backup", "--recipients-file", k.recipients, "-o", "json"}, sink), etcdFlags(c)...)
		decode(t, lifeboat(t, args...).must(t, 0).stdout, &b)
		return b.ID
	}
	prune := func(more ...string) ran {
		t.Helper()
		return lifeboat(t, slices.Concat([]string{"prune", "--last", "12", "--apply", "--all"}, sink, more)...).must(t, 0)
	}

	began := time.Now()
	var good []string
	for i := range 10 {
		good = append(good, backup(fmt.Sprint("good-", i)))
	}
	etcdID := clusterID(t, c)
	c.Stop(t, 0)
	if err := os.RemoveAll(c.Members()[0].DataDir); err != nil {
		t.Fatal(err)
	}
	c.Start(t, 0) // with the flags of the first time, --initial-cluster-state new among them
	if again := clusterID(t, c); again != etcdID {
		t.Fatalf("the wiped cluster has the id %x and not %x, which makes this too easy", again, etcdID)
	}
	var wiped []string
	for i := range 30 {
		wiped = append(wiped, backup(fmt.Sprint("wiped-", i)))
		if i%3 == 2 {
			prune()
		}
	}
	lab.Report(t, "40 backups and 10 prunes in %s", time.Since(began).Round(time.Second))

	if left := listed(t, sink); !slices.Equal(left, slices.Concat(good, wiped[18:])) {
		t.Errorf("left are\n%s\ninstead of the ten good ones and the last twelve since", strings.Join(left, "\n"))
	}
	for _, id := range good {
		lifeboat(t, append([]string{"verify", id, "--deep", "--identity", k.identity}, sink...)...).must(t, 0)
	}
	said := prune()
	mustSay(t, "prune's table", said.stdout, good[0]+`.* frozen .*the newer lineage of `+wiped[0]+` is suspect and not accepted`)
	mustSay(t, "prune", said.stderr, `10 older backups are frozen: the lineage that began with `+wiped[0]+` is suspect \(the revision went back from`, `lifeboat: hint: .*lifeboat accept`)
	mustSay(t, "list", lifeboat(t, append([]string{"list"}, sink...)...).must(t, 0).stdout, wiped[29]+`.*suspect: the revision went back from`)
	out := filepath.Join(t.TempDir(), "restored")
	restored := lifeboat(t, append([]string{"restore", "latest", "--identity", k.identity, "--out", out}, sink...)...).must(t, 0)
	mustSay(t, "restore", restored.stderr, `passed over 12 backups from .* to `+wiped[29]+`: suspect: the revision went back from`, good[9])

	// Had it been meant: accepting thaws, and each lineage is thinned by itself.
	lifeboat(t, append([]string{"accept", wiped[29]}, sink...)...).must(t, 0)
	if said := lifeboat(t, slices.Concat([]string{"prune", "--last", "4", "--apply", "--all"}, sink)...).must(t, 0); strings.Contains(said.stdout+said.stderr, "frozen:") {
		t.Errorf("accepted, and still frozen:\n%s%s", said.stdout, said.stderr)
	}
	if left := listed(t, sink); !slices.Equal(left, slices.Concat(good[6:], wiped[26:])) {
		t.Errorf("after the acceptance left are\n%s\ninstead of four of each lineage", strings.Join(left, "\n"))
	}
	mustSay(t, "show", lifeboat(t, append([]string{"show", "latest"}, sink...)...).must(t, 0).stdout, wiped[29])
}

func clusterID(t *testing.T, c *lab.Cluster) uint64 {
	t.Helper()
	r, err := c.Client(t).MemberList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r.Header.ClusterId
}

// listed are the ids of all backups in a sink.
func listed(t *testing.T, sink []string) (ids []string) {
	t.Helper()
	var l struct {
		Backups []struct{ ID string }
	}
	decode(t, lifeboat(t, append([]string{"list", "-o", "json"}, sink...)...).must(t, 0).stdout, &l)
	for _, b := range l.Backups {
		ids = append(ids, b.ID)
	}
	return ids
}

// mustSay fails the test unless the text matches every pattern.
func mustSay(t *testing.T, who, text string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(text) {
			t.Errorf("%s does not say %q:\n%s", who, p, text)
		}
	}
}
