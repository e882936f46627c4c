package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// diagnosis is `doctor -o json`.
type diagnosis struct {
	Verdict, Sentence string
	Healthy           bool
	Cluster           struct {
		Quorum                  bool
		Voters, Serving, Needed int
		Revision                int64
		Members                 []struct{ Name, ID, State, Reason string }
	}
	Backup *struct {
		ID     string
		Behind *int64 `json:"revisions_behind"`
	}
	Directories []struct {
		Revision int64
		Hash     *uint32
		Codes    []string
	}
	Options []struct {
		Code, Title, Loses string
		Steps              []printedStep
	}
	Findings []struct {
		Code, Severity, Text string
		Commands             []string
	}
}

type printedStep struct {
	Title    string
	On       []string
	Commands []string
}

func (d diagnosis) codes() (all []string) {
	for _, o := range d.Options {
		all = append(all, o.Code)
	}
	return all
}

func (d diagnosis) option(t *testing.T, code string) []printedStep {
	t.Helper()
	for _, o := range d.Options {
		if o.Code == code {
			return o.Steps
		}
	}
	t.Fatalf("there is no option %s among %v", code, d.codes())
	return nil
}

func (d diagnosis) finding(code string) (commands []string, found bool) {
	for _, f := range d.Findings {
		if f.Code == code {
			return f.Commands, true
		}
	}
	return nil, false
}

// ward is a cluster under the doctor: what runs of it was started by the lab, or by commands that doctor printed.
type ward struct {
	c       *lab.Cluster
	d       *desk
	sink    string
	keys    keys
	newDirs int
	running map[string]*exec.Cmd // by member, in the place of the lab's
}

func newWard(t *testing.T, c *lab.Cluster, version string) *ward {
	w := &ward{c: c, d: newDesk(t, c), sink: "file://" + t.TempDir(), keys: newKeys(t), running: map[string]*exec.Cmd{}}
	for _, tool := range []string{"etcd", "etcdctl", "etcdutl"} {
		w.d.tool(t, version, tool)
	}
	// What the units of the members say besides the flags: their certificates.
	pki := filepath.Join(c.Dir, "pki")
	for _, prefix := range []string{"ETCD_", "ETCD_PEER_"} {
		if c.CAFile != "" {
			w.d.env = append(w.d.env, prefix+"CLIENT_CERT_AUTH=true", prefix+"TRUSTED_CA_FILE="+c.CAFile,
				prefix+"CERT_FILE="+filepath.Join(pki, "server.crt"), prefix+"KEY_FILE="+filepath.Join(pki, "server.key"))
		}
	}
	t.Cleanup(func() {
		for i := range c.Members() {
			w.kill(t, i)
		}
	})
	return w
}

// ask runs doctor with some endpoints, holds its two outputs to each other, and its exit code to its verdict.
func (w *ward) ask(t *testing.T, endpoints []string, more ...string) (all diagnosis) {
	t.Helper()
	w.newDirs++
	args := []string{"doctor", "--endpoints", strings.Join(endpoints, ","), "--sink", w.sink, "--identity", w.keys.identity, "--new-dir", filepath.Join(w.d.dir, fmt.Sprintf("new%d", w.newDirs))}
	args = append(append(args, etcdFlags(w.c)[2:]...), more...)
	r := lifeboat(t, append(args, "-o", "json")...)
	decode(t, r.stdout, &all)
	want := 4
	if all.Healthy {
		want = 0
	}
	r.must(t, want)
	return all
}

// kill ends a member, whoever started it.
func (w *ward) kill(t *testing.T, i int) {
	t.Helper()
	m := w.c.Members()[i]
	if cmd := w.running[m.Name]; cmd != nil {
		cmd.Process.Kill()
		cmd.Wait()
		delete(w.running, m.Name)
		return
	}
	w.c.Kill(t, i)
}

// lose ends a member, and its disk is gone.
func (w *ward) lose(t *testing.T, i int) {
	t.Helper()
	w.kill(t, i)
	if err := os.RemoveAll(w.c.Members()[i].DataDir); err != nil {
		t.Fatal(err)
	}
}

// follow does what steps say, unedited: etcd is started and left to run; everything else has to succeed.
func (w *ward) follow(t *testing.T, steps []printedStep) {
	t.Helper()
	for _, s := range steps {
		if strings.HasPrefix(s.Title, "Stop etcd on every node") {
			for i := range w.c.Members() {
				w.kill(t, i)
			}
		}
		for _, command := range s.Commands {
			if strings.HasPrefix(command, "etcd ") {
				w.startEtcd(t, s.On[0], command)
				continue
			}
			if !slices.ContainsFunc([]string{"cp ", "etcdctl ", "etcdutl ", "lifeboat ", "until etcdctl ", `ETCDCTL_PASSWORD="$(cat `}, func(p string) bool { return strings.HasPrefix(command, p) }) {
				t.Fatalf("%s: a command that is neither etcd's nor ours nor a copy: %s", s.Title, command)
			}
			w.d.run(t, s.Title, fmt.Sprintf(patiently, command))
		}
	}
}

// patiently repeats a command as the steps say it may have to be: members that were just started are not healthy yet, and take no changes.
const patiently = `
for i in $(seq 120); do
	if out=$(%s 2>&1); then exit 0; fi
	case "$out" in *"unhealthy"*) sleep 0.5 ;; *) break ;; esac
done
echo "$out"
exit 1
`

func (w *ward) startEtcd(t *testing.T, member, command string) {
	t.Helper()
	log, err := os.Create(filepath.Join(w.d.dir, fmt.Sprintf("%s.%d.log", member, w.newDirs)))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("sh", "-c", "exec "+command)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.d.dir, append(w.d.env, "ETCD_LOG_LEVEL=warn"), log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.running[member] = cmd
	t.Cleanup(func() { // what one said before it ended by itself
		if said, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s, %v, at its end:\n%s", filepath.Base(log.Name()), cmd.ProcessState, said[max(0, len(said)-2000):])
		}
	})
}

// whole fails the test unless doctor finds nothing to do, every member serves, and all hold the same, the key with this value included.
func (w *ward) whole(t *testing.T, key, value string) {
	t.Helper()
	d := w.ask(t, w.c.Endpoints())
	if d.Verdict != "whole" || d.Cluster.Serving != len(w.c.Members()) || len(d.Options) != 0 {
		t.Fatalf("after what doctor advised: %+v", d)
	}
	var first *clientv3.HashKVResponse
	for _, e := range w.c.Endpoints() {
		cli, err := clientv3.New(clientv3.Config{Endpoints: []string{e}, TLS: w.c.ClientTLS(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer cli.Close()
		got, err := cli.Get(t.Context(), key)
		if err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Value) != value {
			t.Fatalf("%s of %s: %v, %v", key, e, got, err)
		}
		hash, err := cli.HashKV(t.Context(), e, got.Header.Revision)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = hash
		}
		if hash.Hash != first.Hash || hash.CompactRevision != first.CompactRevision {
			t.Errorf("HashKV of %s is %d, and of %s %d", e, hash.Hash, w.c.Endpoints()[0], first.Hash)
		}
	}
}

func (w *ward) write(t *testing.T, key, value string) {
	t.Helper()
	cli := w.c.Client(t)
	for deadline := time.Now().Add(time.Minute); ; {
		short, stop := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := cli.Put(short, key, value)
		stop()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestWhatDoctorPrintsMakesTheClusterWholeAgain takes one cluster of three through every state of its quorum, and each time does what doctor
// says with its own commands. In full it does so for every etcd.
func TestWhatDoctorPrintsMakesTheClusterWholeAgain(t *testing.T) {
	t.Parallel()
	versions := []string{"3.7"}
	if lab.Long() {
		versions = []string{"3.5", "3.6", "3.7"}
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			throughEveryQuorum(t, version)
		})
	}
}

func throughEveryQuorum(t *testing.T, version string) {
	c := lab.StartCluster(t, lab.ClusterOptions{Version: version, TLS: true, QuotaBytes: 1 << 30})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 200, Seed: 21, Churn: 20}); err != nil {
		t.Fatal(err)
	}
	w := newWard(t, c, "etcd-"+version)
	w.write(t, "scene", "backup")
	lifeboat(t, append([]string{"backup", "--recipients-file", w.keys.recipients, "--sink", w.sink}, etcdFlags(c)...)...).must(t, 0)

	// 3/3, of which one endpoint is known.
	w.whole(t, "scene", "backup")
	if d := w.ask(t, c.Endpoints()[:1]); d.Verdict != "whole" || d.Cluster.Serving != 3 {
		t.Errorf("from one endpoint: %+v", d)
	}

	// 2/3: a member that only stopped.
	c.Stop(t, 1)
	d := w.ask(t, c.Endpoints())
	if d.Verdict != "member-down" || !slices.Equal(d.codes(), []string{"start", "replace"}) || !strings.Contains(d.Sentence, "do not restore") {
		t.Fatalf("2/3: %+v", d)
	}
	c.Start(t, 1)
	w.follow(t, d.option(t, "start"))
	w.whole(t, "scene", "backup")

	// 2/3: its disk is lost.
	w.lose(t, 1)
	w.write(t, "scene", "replaced")
	steps := w.ask(t, c.Endpoints()).option(t, "replace")
	i := slices.IndexFunc(steps, func(s printedStep) bool { return strings.HasPrefix(s.Title, "Give it its vote") })
	w.follow(t, steps[:i])
	w.learner(t)
	w.follow(t, steps[i:])
	w.whole(t, "scene", "replaced")

	// 1/3: the survivor holds more than the backup.
	w.lose(t, 0)
	w.lose(t, 1)
	d = w.ask(t, c.Endpoints())
	if d.Verdict != "quorum-lost" || !slices.Equal(d.codes(), []string{"start", "survivor", "backup"}) || d.Backup == nil || d.Backup.Behind == nil || *d.Backup.Behind < 1 {
		t.Fatalf("1/3: %+v", d)
	}
	w.follow(t, d.option(t, "survivor"))
	w.whole(t, "scene", "replaced")

	// 0/3
	w.kill(t, 2)
	dirs, _ := filepath.Glob(filepath.Join(w.d.dir, "new*", "m3"))
	if err := os.Rename(dirs[len(dirs)-1], filepath.Join(w.d.dir, "kept")); err != nil {
		t.Fatal(err)
	}
	for i := range c.Members() {
		w.lose(t, i)
	}
	d = w.ask(t, c.Endpoints(), "--data-dir", filepath.Join(w.d.dir, "kept"))
	if !slices.Equal(d.codes(), []string{"start", "directory", "backup"}) {
		t.Fatalf("0/3 with a directory: %+v", d)
	}
	if len(d.Directories) != 1 || d.Directories[0].Revision == 0 || d.Directories[0].Hash == nil {
		t.Fatalf("what the page about data directories compares by is not told: %+v", d.Directories)
	}
	w.follow(t, d.option(t, "directory"))
	w.whole(t, "scene", "replaced")
	for i := range c.Members() {
		w.lose(t, i)
	}
	d = w.ask(t, c.Endpoints())
	if d.Verdict != "all-down" || !slices.Equal(d.codes(), []string{"start", "backup"}) || d.Cluster.Voters != 3 {
		t.Fatalf("0/3: %+v", d)
	}
	w.follow(t, d.option(t, "backup"))
	w.whole(t, "scene", "backup")
}

// learner is asked while one of the three is a learner: it does not count, and is to be promoted as soon as it has caught up.
func (w *ward) learner(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		d := w.ask(t, w.c.Endpoints())
		if d.Verdict != "whole" || d.Cluster.Voters != 2 || d.Cluster.Serving != 2 || d.Cluster.Needed != 2 {
			t.Fatalf("with a learner: %+v", d)
		}
		commands, found := d.finding("learner")
		if found && len(commands) == 1 && strings.Contains(commands[0], " member promote ") {
			return
		}
		_, unstarted := d.finding("unstarted") // until it has told the others its name
		if !found && !unstarted || time.Now().After(deadline) {
			t.Fatalf("the learner is not to be promoted: %+v", d.Findings)
		}
	}
}

// TestDoctorCountsFiveMembers asks about clusters of five, with and without a quorum.
func TestDoctorCountsFiveMembers(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 5})
	w := newWard(t, c, "etcd-3.6")

	// 4/5: a member that hangs is as good as one that is gone, and does not hold up the answer.
	w.write(t, "scene", "five")
	if err := syscall.Kill(c.Process(3).Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	d := w.ask(t, c.Endpoints())
	if err := syscall.Kill(c.Process(3).Pid(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if d.Verdict != "member-down" || d.Cluster.Serving != 4 || !slices.Equal(d.codes(), []string{"start", "replace"}) || !strings.Contains(d.Sentence, "m4: no answer within 10s") {
		t.Errorf("4/5: %+v", d)
	}
	if _, spare := d.finding("no-spare"); spare {
		t.Error("4/5: one more may fail")
	}

	// 3/5: two disks are lost, and two members replaced by the commands of one answer.
	w.lose(t, 3)
	w.lose(t, 4)
	d = w.ask(t, c.Endpoints())
	if _, spare := d.finding("no-spare"); !spare || !slices.Equal(d.codes(), []string{"start", "replace", "replace"}) {
		t.Fatalf("3/5: %+v", d)
	}
	for _, o := range d.Options[1:] {
		w.follow(t, o.Steps)
	}
	w.whole(t, "scene", "five")

	// 2/5
	for _, i := range []int{3, 4, 0} {
		w.kill(t, i)
	}
	d = w.ask(t, c.Endpoints())
	if d.Verdict != "quorum-lost" || d.Cluster.Serving != 2 || d.Cluster.Needed != 3 || !slices.Equal(d.codes(), []string{"start", "survivor"}) {
		t.Errorf("2/5: %+v", d)
	}
}

// TestDoctorsCommandsEndTheAlarm fills a database to its quota, and does what doctor says, as a user with a password.
func TestDoctorsCommandsEndTheAlarm(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1, TLS: true, Auth: true, QuotaBytes: 16 << 20})
	cli := c.Client(t)
	value := strings.Repeat("x", 1<<20)
	for i := 0; ; i++ {
		_, err := cli.Put(t.Context(), "fills", value)
		if err != nil {
			break
		}
		if i > 64 {
			t.Fatal("the quota does not hold")
		}
	}
	password := filepath.Join(t.TempDir(), "pass word")
	if err := os.WriteFile(password, []byte(lab.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(lab.Tool(t, "etcd-3.6", "etcdctl"), filepath.Join(bin, "etcdctl")); err != nil {
		t.Fatal(err)
	}
	var d diagnosis
	decode(t, lifeboat(t, append(append([]string{"doctor", "-o", "json"}, etcdFlags(c)...), "--user", "root", "--password-file", password)...).must(t, 4).stdout, &d)
	commands, found := d.finding("alarm-nospace")
	if d.Verdict != "whole" || d.Healthy || !found || len(commands) != 3 {
		t.Fatalf("%+v", d)
	}
	for _, command := range commands {
		cmd := exec.Command("sh", "-c", command)
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	if _, err := cli.Put(t.Context(), "fills", "no more"); err != nil {
		t.Errorf("after what doctor advised: %v", err)
	}
}
