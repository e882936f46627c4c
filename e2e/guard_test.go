package e2e

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/sinks/open"
)

// guardResult is what `guard -o json` prints, as far as the tests look at it.
type guardResult struct {
	Outcome string
	Command struct {
		Ran      bool
		ExitCode *int `json:"exit_code"`
		Signal   string
	}
	Backup *struct {
		ID       string
		Verified string
		Held     bool
		Sinks    []string
	}
	Compared *struct {
		Lost, Changes []string
		Remaining     []struct{ Kind, Subject string }
	}
	Rollback []struct{ Commands []string }
	Release  string
}

// guardRun is a cluster with a bucket, and the flags that guard takes for them.
type guardRun struct {
	c       *lab.Cluster
	keys    keys
	dir     string // of the scripts and what they leave
	sink    string
	marker  string // is there if the command of the test was run
	command string // makes the marker
}

func newGuardRun(t *testing.T, c *lab.Cluster) *guardRun {
	t.Helper()
	g := &guardRun{c: c, keys: newKeys(t), dir: lab.Dir(t)}
	g.sink, g.marker = "file://"+t.TempDir(), filepath.Join(g.dir, "ran")
	g.command = g.script(t, "mark", "echo was here\ntouch '"+g.marker+"'\n")
	return g
}

// script writes a program of the test's own.
func (g *guardRun) script(t *testing.T, name, body string) string {
	t.Helper()
	file := filepath.Join(g.dir, name+".sh")
	if err := os.WriteFile(file, []byte("#!/bin/sh\nset -eu\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// args is the command line: more are flags of guard, and after -- the command.
func (g *guardRun) args(more ...string) []string {
	return slices.Concat([]string{"guard", "--recipients-file", g.keys.recipients, "--sink", g.sink}, etcdFlags(g.c), more)
}

// refuses holds a run to what a refusal is: its code, its words, and that the command did not run.
func (g *guardRun) refuses(t *testing.T, code int, says []string, flags ...string) ran {
	t.Helper()
	r := lifeboat(t, g.args(append(flags, "--", g.command)...)...).must(t, code)
	if _, err := os.Stat(g.marker); err == nil {
		t.Errorf("refused with %d, and the command ran:\n%s", code, r.stderr)
		_ = os.Remove(g.marker)
	}
	mustSay(t, "guard", r.stderr, append(says, `lifeboat: error: .*mark\.sh was not run`)...)
	return r
}

// runs holds a run to the success that it should be.
func (g *guardRun) runs(t *testing.T, flags ...string) ran {
	t.Helper()
	r := lifeboat(t, g.args(append(flags, "--", g.command)...)...).must(t, 0)
	if err := os.Remove(g.marker); err != nil {
		t.Errorf("the command did not run: %v\n%s", err, r.stderr)
	}
	return r
}

// TestGuardRefusesWhatAnOperatorWould: whatever is not well before keeps the command from being run, and each refusal says so.
func TestGuardRefusesWhatAnOperatorWould(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", TLS: true})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 100, Seed: 4}); err != nil {
		t.Fatal(err)
	}
	g := newGuardRun(t, c)
	absent := "file://" + filepath.Join(g.dir, "not-mounted")
	e := c.Endpoints()

	t.Run("well", func(t *testing.T) {
		r := g.runs(t)
		if r.stdout != "was here\n" {
			t.Errorf("stdout is the command's own, and was %q", r.stdout)
		}
		mustSay(t, "guard", r.stderr, `before: cluster .* m1 3\.6\.`, `known only with --identity`, `held in file://`, `mark\.sh exited with status 0`, `--identity IDENTITY-FILE`, `lifeboat release `)
	})
	t.Run("sinks", func(t *testing.T) {
		only := slices.Concat([]string{"guard", "--recipients-file", g.keys.recipients, "--sink", absent}, etcdFlags(c), []string{"--", g.command})
		lifeboat(t, only...).must(t, 5)
		r := g.refuses(t, 3, []string{`missing in 1 of 2 sinks`, `stays?|is there, and not held`, `hint: .*--allow-partial`}, "--sink", absent)
		if strings.Contains(r.stderr, "held in") {
			t.Errorf("refused, and held:\n%s", r.stderr)
		}
		g.runs(t, "--sink", absent, "--allow-partial", "--identity", g.keys.identity)
	})
	t.Run("a first backup beside a sink that is not there", func(t *testing.T) { g.firstAndPartial(t, absent) })
	t.Run("a wrong identity", func(t *testing.T) {
		g.refuses(t, 8, nil, "--identity", newKeys(t).identity)
	})
	t.Run("an endpoint left out", func(t *testing.T) {
		flags := slices.Concat(etcdFlags(c), []string{"--", g.command})
		flags[1] = e[0] + "," + e[1]
		r := lifeboat(t, slices.Concat([]string{"guard", "--recipients-file", g.keys.recipients, "--sink", g.sink}, flags)...).must(t, 4)
		mustSay(t, "guard", r.stderr, `m3 is a member at .* and not among the endpoints`, `hint: name every member: --endpoints `+strings.Join(e, ","))
	})
	t.Run("an alarm", func(t *testing.T) {
		alarm(t, c, pb.AlarmRequest_ACTIVATE)
		g.refuses(t, 4, []string{`the alarm NOSPACE of m1 is raised`, `hint: .*disarm`})
		alarm(t, c, pb.AlarmRequest_DEACTIVATE)
	})
	t.Run("a member that was found different", func(t *testing.T) {
		g.crossChecked(t, false)
		g.refuses(t, 4, []string{`the cross-check of .* found that m2 differs from the majority`, `hint: .*verify --cross-check`})
		g.crossChecked(t, true)
		g.runs(t)
	})
	t.Run("one of three down", func(t *testing.T) {
		c.Kill(t, 2)
		c.Await(t, 0, 1)
		g.refuses(t, 4, []string{`m3 at .* does not answer: connection refused`, `hint: .lifeboat doctor. says what is wrong .*--allow-unhealthy`})
		var out guardResult
		r := g.runs(t, "--allow-unhealthy", "-o", "json", "--settle-timeout", "1m")
		decode(t, r.stdout, &out)
		if out.Outcome != "done" || len(out.Compared.Remaining) != 1 || out.Compared.Remaining[0].Subject != "m3" {
			t.Errorf("got %s", r.stdout)
		}
		c.Start(t, 2)
	})
	t.Run("stopped before", func(t *testing.T) { g.stoppedBefore(t) })
}

// firstAndPartial: nobody can tell what history the sink has that is not there, which makes the backup suspect; the printed way back works as
// long as that sink stays away.
func (g *guardRun) firstAndPartial(t *testing.T, absent string) {
	fresh := *g
	fresh.sink = "file://" + t.TempDir()
	fresh.refuses(t, 3, []string{`missing in 1 of 2 sinks`, `hint: .*--allow-partial`}, "--sink", absent)
	fresh.sink = "file://" + t.TempDir()
	var out guardResult
	decode(t, fresh.runs(t, "--sink", absent, "--allow-partial", "--identity", g.keys.identity, "-o", "json").stdout, &out)
	d := newDesk(t, g.c)
	for _, way := range out.Rollback {
		d.run(t, "the rollback that is printed", strings.Join(way.Commands, "\n"))
	}
}

// alarm raises or clears NOSPACE of the first member.
func alarm(t *testing.T, c *lab.Cluster, action pb.AlarmRequest_AlarmAction) {
	t.Helper()
	cli := c.Client(t)
	status, err := cli.Status(t.Context(), c.Endpoints()[0])
	if err != nil {
		t.Fatal(err)
	}
	request := &pb.AlarmRequest{Action: action, MemberID: status.Header.MemberId, Alarm: pb.AlarmType_NOSPACE}
	if _, err := pb.NewMaintenanceClient(cli.ActiveConnection()).Alarm(t.Context(), request); err != nil {
		t.Fatal(err)
	}
}

// crossChecked leaves the report of a comparison in which the second member was found equal, or not.
func (g *guardRun) crossChecked(t *testing.T, equal bool) {
	t.Helper()
	status, err := g.c.Client(t).Status(t.Context(), g.c.Endpoints()[1])
	if err != nil {
		t.Fatal(err)
	}
	sink, err := open.URL(t.Context(), g.sink, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = catalog.PutReport(t.Context(), catalog.Named{Name: g.sink, Sink: sink}, catalog.Report{
		ID: catalog.ID(listed(t, []string{"--sink", g.sink})[0]), Cluster: "default", Report: catalog.ReportCrossCheck, Time: time.Now(), OK: equal,
		Members: []catalog.MemberResult{{MemberID: catalog.HexID(status.Header.MemberId), Name: "m2", OK: equal, Detail: "differs from the majority: m1, m3"}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stoppedBefore interrupts a run that waits for a sink.
func (g *guardRun) stoppedBefore(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if err := silent.(*net.TCPListener).SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	cmd, stderr := g.start(t, []string{"AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"}, "--sink", "s3://bucket?region=us-east-1&endpoint=http://"+silent.Addr().String(), "--", g.command)
	asked, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer asked.Close()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit %d, want 130", code)
	}
	mustSay(t, "guard", stderr.String(), `error: interrupted by SIGINT: .*mark\.sh was not run; the cluster was only read`)
	if _, err := os.Stat(g.marker); err == nil {
		t.Error("the command ran")
	}
}

// start starts a run and does not wait for it.
func (g *guardRun) start(t *testing.T, env []string, more ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(filepath.Join(built, "lifeboat"), g.args(more...)...)
	var stderr bytes.Buffer
	cmd.Stderr, cmd.Env = &stderr, append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended unless the test failed
	return cmd, &stderr
}

// await waits until a file is there, as a command of the test makes it.
func await(t *testing.T, file string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come", file)
		}
	}
}
