package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// upgradable is a cluster whose members a script can stop and start again, as an upgrade does.
func upgradable(t *testing.T) *guardRun {
	t.Helper()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 300, Seed: 7, Churn: 50}); err != nil {
		t.Fatal(err)
	}
	g := newGuardRun(t, c)
	t.Cleanup(func() { g.endStarted(t) })
	return g
}

// endStarted kills what the scripts have started, and returns when it is gone. Nobody may be there to reap it.
func (g *guardRun) endStarted(t *testing.T) {
	t.Helper()
	pids, _ := os.ReadFile(filepath.Join(g.dir, "pids"))
	_ = os.Remove(filepath.Join(g.dir, "pids")) // a number may come to be another's
	for _, field := range strings.Fields(string(pids)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); len(line) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("process %d does not end", pid)
			}
		}
	}
}

// contents is every key with its value.
func contents(t *testing.T, c *lab.Cluster) map[string]string {
	t.Helper()
	got, err := c.Client(t).Get(t.Context(), "", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, kv := range got.Kvs {
		all[string(kv.Key)] = string(kv.Value)
	}
	return all
}

// stopping and starting are the lines of a script that stop the i-th member as it was started first, and start it again with the same flags.
func (g *guardRun) stopping(i int) string {
	pid := g.c.Process(i).Pid()
	return fmt.Sprintf("kill %d\nwhile kill -0 %d 2>/dev/null; do sleep 0.05; done\n", pid, pid)
}

func (g *guardRun) starting(t *testing.T, i int, etcd string) string {
	t.Helper()
	flags := strings.Split(strings.TrimSuffix(readFile(t, fmt.Sprintf("/proc/%d/cmdline", g.c.Process(i).Pid())), "\x00"), "\x00")[1:]
	return fmt.Sprintf("'%s' '%s' >>'%s' 2>&1 </dev/null &\necho $! >>'%s'\n", etcd, strings.Join(flags, "' '"), g.c.Members()[i].LogFile, filepath.Join(g.dir, "pids"))
}

// TestAGuardedUpgradeIsHeldAndTold: three members go from 3.6 to 3.7 one by one, by a script. What was different afterwards is told, the
// backup of before is marked and held through a prune that would have taken it, and ends with the printed command.
func TestAGuardedUpgradeIsHeldAndTold(t *testing.T) {
	t.Parallel()
	g := upgradable(t)
	etcd, etcdctl := lab.Tool(t, "etcd-3.7", "etcd"), lab.Tool(t, "etcd-3.7", "etcdctl")
	var body string
	for i, m := range g.c.Members() {
		healthy := fmt.Sprintf("'%s' --endpoints '%s' --cacert '%s' --cert '%s' --key '%s' endpoint health >/dev/null 2>&1", etcdctl, m.ClientURL, g.c.CAFile, g.c.CertFile, g.c.KeyFile)
		body += g.stopping(i) + g.starting(t, i, etcd) + "until " + healthy + "; do sleep 0.2; done\necho " + m.Name + " is upgraded\n"
	}
	r := lifeboat(t, g.args("-o", "json", "--identity", g.keys.identity, "--", g.script(t, "upgrade", body))...).must(t, 0)
	var out guardResult
	decode(t, r.stdout, &out)
	if out.Outcome != "done" || len(out.Compared.Changes) != 3 || out.Backup.Verified != "deep" {
		t.Errorf("got %s", r.stdout)
	}
	for _, name := range []string{"m1", "m2", "m3"} {
		mustSay(t, "guard", r.stderr, name+" is upgraded", `changed: `+name+`: etcd 3\.6\.\d+ → 3\.7\.\d+`)
	}
	sink := []string{"--sink", g.sink}
	mustSay(t, "show", lifeboat(t, append([]string{"show", out.Backup.ID, "-o", "json"}, sink...)...).must(t, 0).stdout, `"pre_upgrade": true`, `"held_for": "pre-upgrade: .*upgrade.sh"`)

	for range 2 {
		lifeboat(t, append([]string{"backup", "--recipients-file", g.keys.recipients, "--sink", g.sink}, etcdFlags(g.c)...)...).must(t, 0)
	}
	lifeboat(t, append([]string{"verify", "latest", "--deep", "--identity", g.keys.identity}, sink...)...).must(t, 0) // or the floor keeps the proven one
	prune := append([]string{"prune", "--last", "1", "--floor", "1", "--apply"}, sink...)
	mustSay(t, "prune", lifeboat(t, prune...).must(t, 0).stdout, out.Backup.ID+`.* keep .*held`)
	newDesk(t, g.c).run(t, "the release that is printed", out.Release)
	mustSay(t, "list", lifeboat(t, append([]string{"list"}, sink...)...).must(t, 0).stdout, out.Backup.ID+`.*taken before an upgrade`)
	mustSay(t, "prune", lifeboat(t, prune...).must(t, 0).stdout, out.Backup.ID+`.* remove`)
}

// TestAGuardedScriptThatWipesTheCluster: the script begins with rm -rf and starts the members again as new, under the same names and token, so
// that the cluster has the same id and is healthy. Guard sees that it is empty, and the commands that it prints, run as they are, bring
// everything back.
func TestAGuardedScriptThatWipesTheCluster(t *testing.T) {
	t.Parallel()
	g := upgradable(t)
	etcd, before := lab.Tool(t, "etcd-3.6", "etcd"), contents(t, g.c)
	var stop, start string
	for i, m := range g.c.Members() {
		stop += g.stopping(i) + "rm -rf '" + m.DataDir + "'\n"
		start += g.starting(t, i, etcd)
	}
	wipe := g.script(t, "wipe", stop+start)
	r := lifeboat(t, g.args("-o", "json", "--identity", g.keys.identity, "--", wipe)...).must(t, 4)
	var out guardResult
	decode(t, r.stdout, &out)
	if out.Outcome != "unwell" || *out.Command.ExitCode != 0 || len(out.Compared.Lost) != 2 || len(out.Compared.Changes) != 0 {
		t.Errorf("got %s", r.stdout)
	}
	mustSay(t, "guard", r.stderr, `error: .*wipe\.sh exited with status 0, and the cluster is not the one of before: the revision went back from \d+ to 1`, `hint: stop every API server`)

	// Nobody gets a second one past it: what it would back up now is not what anybody wants to go back to.
	g.refuses(t, 9, []string{`is suspect: the revision went back`, `hint: .*lifeboat accept`, `is there, and not held`})

	d := newDesk(t, g.c)
	for _, way := range out.Rollback {
		for _, command := range way.Commands {
			if !strings.Contains(r.stderr, "    "+command+"\n") {
				t.Errorf("%s is in the JSON only:\n%s", command, r.stderr)
			}
			d.run(t, "the rollback that is printed", command)
		}
	}
	g.endStarted(t)
	for _, m := range g.c.Members() {
		if err := os.RemoveAll(m.DataDir); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(d.dir, "etcd-"+out.Backup.ID, m.Name), m.DataDir); err != nil {
			t.Fatal(err)
		}
	}
	startAgain(t, g.c)
	if got := contents(t, g.c); !maps.Equal(got, before) {
		t.Errorf("%d keys are back, and of before are %d", len(got), len(before))
	}
	d.run(t, "the release that is printed", out.Release)
}
