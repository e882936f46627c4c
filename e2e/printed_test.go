package e2e

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

var printedCommand = regexp.MustCompile(`(?m)^on the node of (\S+)\n  (lifeboat restore .*)$`)

// TestTheCommandsPrintedForOtherNodesWork pastes, as a person would, what a restore of one member prints for the others. The sink holds two
// clusters, so a command that leaves out which one it is about fails.
func TestTheCommandsPrintedForOtherNodesWork(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true})
	k, sink := newKeys(t), "file://"+t.TempDir()
	var b struct {
		ID string `json:"id"`
	}
	for _, name := range []string{"staging", "prod"} {
		backup := append([]string{"backup", "--cluster", name, "--recipients-file", k.recipients, "--sink", sink, "-o", "json"}, etcdFlags(c)...)
		decode(t, lifeboat(t, backup...).must(t, 0).stdout, &b)
	}
	d := newDesk(t, c)
	first := filepath.Join(d.dir, "m1", "etcd")
	out := lifeboat(t, "restore", b.ID, "--cluster", "prod", "--member", "m1", "--data-dir", first, "--sink", sink, "--identity", k.identity).must(t, 0).stdout
	printed := printedCommand.FindAllStringSubmatch(out, -1)
	if len(printed) != 2 {
		t.Fatalf("%d commands for other nodes are printed, want 2:\n%s", len(printed), out)
	}
	hash := regexp.MustCompile(`(?m)^HashKV .* equals the backup's$`)
	token := regexp.MustCompile(`--initial-cluster-token=\S+`)
	for _, p := range printed {
		// Here all nodes are one machine, so each gets a directory of its own.
		other := d.run(t, p[1], strings.ReplaceAll(p[2], first, filepath.Join(d.dir, p[1], "etcd")))
		for what, same := range map[string]*regexp.Regexp{"HashKV": hash, "token": token} {
			if got, want := same.FindString(other), same.FindString(out); got == "" || got != want {
				t.Errorf("the %s of %s is %q, and of m1 %q", what, p[1], got, want)
			}
		}
	}
}
