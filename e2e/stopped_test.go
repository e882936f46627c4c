package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// soon is what is promised of everything that gets SIGTERM, after the grace period of those that have one.
const soon = 5 * time.Second

// TestStoppedAtAnyMomentLeavesNothingHalfMade sends SIGTERM to `lifeboat backup`, and to a `lifeboat run` that does every job there is, at moments that are
// spread over all of their work: 100 with LIFEBOAT_TEST_LONG=1, 6 otherwise. Each ends within 5 s with the right exit code and leaves no file, no process and
// nothing half-made in its stores, and the next backup and verification succeed.
func TestStoppedAtAnyMomentLeavesNothingHalfMade(t *testing.T) {
	t.Parallel()
	times, mebibytes := 6, 4
	if lab.Long() {
		times, mebibytes = 100, 18 // more than one part of an upload
	}
	const seed = 20261126
	random := rand.New(rand.NewPCG(seed, uint64(times)))
	d := newDock(t, mebibytes)
	stopped := 0
	for _, kind := range []struct {
		name  string
		share int // of the times, in thirds
		start func(*berth, *testing.T) *service
		done  []string // what its log says when all its work is done; nothing where it ends then
	}{
		{"backup", 1, (*berth).backUp, nil},
		{"run", 2, (*berth).serve, []string{`msg="job done"`, "cluster=a job=prune"}},
	} {
		usual := d.usual(t, kind.name, kind.start, kind.done)
		if lab.Long() { // a slow one would have moments that the others never see
			if again := d.usual(t, kind.name, kind.start, kind.done); again.long() < usual.long() {
				usual = again
			}
		}
		times := (times*kind.share + 1) / 3
		codes, slowest := map[int]int{}, time.Duration(0)
		for i := range times {
			at := (float64(i) + random.Float64()) / float64(times)
			line, after := usual.moment(at)
			label := fmt.Sprintf("%s %d of %d (seed %d), stopped %s after line %d of its log", kind.name, i+1, times, seed, after, line)
			b := d.berth(t, fmt.Sprint(kind.name, i))
			b.grace = []string{"1s", "0s"}[i%2]
			code, took := b.stop(t, kind.start(b, t), line, after)
			codes[code]++
			slowest = max(slowest, took)
			if took > soon {
				t.Errorf("it took %s to end", took)
			}
			b.leftNothing(t, code)
			b.goesOn(t)
			b.clear(t)
			if t.Failed() {
				t.Fatalf("this was %s; its log:\n%s", label, b.log)
			}
		}
		lab.Report(t, "%d × %s stopped at moments spread over %s of work: %d gave something up, %d had nothing to give up; the slowest ended after %s",
			times, kind.name, usual.long().Round(time.Millisecond), codes[143], codes[0], slowest.Round(time.Millisecond))
		if lab.Long() && codes[143] == 0 || codes[143]+codes[0] != times {
			t.Errorf("%s: they ended with %v", kind.name, codes)
		}
		stopped += codes[143]
	}
	if stopped == 0 { // few moments of a short backup may all come too late on a busy machine, but not those of the service, too
		t.Error("nothing was stopped in its work")
	}
}

// dock is a cluster of two members and two stores. What is stopped gets a berth of its own, so that what one leaves is told from what others do.
type dock struct {
	cluster *lab.Cluster
	minio   *lab.S3
	keys    keys
}

func newDock(t *testing.T, mebibytes int) *dock {
	t.Helper()
	d := &dock{cluster: lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 2}), minio: lab.StartMinIO(t), keys: newKeys(t)}
	noise := rand.NewChaCha8([32]byte{5})
	value := make([]byte, 1<<20)
	for i := range mebibytes { // that cannot be compressed
		_, _ = noise.Read(value) // never fails
		if _, err := d.cluster.Client(t).Put(t.Context(), fmt.Sprint("/noise/", i), string(value)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// berth is a directory and a bucket with the configuration for both.
type berth struct {
	*dock
	config, work, file, bucket string
	grace                      string
	log                        string // of what was stopped here
}

func (d *dock) berth(t *testing.T, name string) *berth {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	b := &berth{dock: d, config: filepath.Join(dir, "lifeboat.yaml"), work: filepath.Join(dir, "work"), file: filepath.Join(dir, "sink"), bucket: d.minio.Bucket(t), grace: "1m"}
	for _, dir := range []string{b.work, b.file} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf(`clusters:
  - &a
    name: a
    endpoints: [%q, %q]
    sinks: [here, there]
    schedule: "@yearly"
    verify: {schedule: "@yearly", deep: true}
    cross-check: {schedule: "@yearly"}
    rehearse: {schedule: "@yearly", members: 1}
    prune: {schedule: "@every 1s"}
    retention: {last: 1, floor: 1}
  - {<<: *a, name: b, verify: null, cross-check: null, rehearse: null}
sinks:
  here: {url: "file://%s"}
  there: {url: %q, credentials-file: %s}
encryption: {recipients-file: %s, identity: [%s]}
`, d.cluster.Endpoints()[0], d.cluster.Endpoints()[1], b.file, d.minio.SinkURL(b.bucket), d.minio.CredentialsFile, d.keys.recipients, d.keys.identity)
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *berth) backUp(t *testing.T) *service {
	return launch(t, []string{"TMPDIR=" + b.work}, "backup", "--cluster", "a", "--config", b.config)
}

func (b *berth) serve(t *testing.T) *service {
	return launch(t, []string{"TMPDIR=" + b.work}, "run", "--config", b.config, "--grace", b.grace)
}

// course is when the lines of a log came, first and last of all the beginning and the end.
type course []time.Time

// usual lets the work be done once without stopping it.
func (d *dock) usual(t *testing.T, name string, start func(*berth, *testing.T) *service, done []string) course {
	t.Helper()
	b := d.berth(t, name)
	began := time.Now()
	s := start(b, t)
	if done == nil {
		<-s.gone
	} else {
		s.until(t, 1, done...)
	}
	ended := time.Now()
	s.mu.Lock()
	c := append(append(course{began}, s.came...), ended)
	s.mu.Unlock()
	if done != nil {
		s.end(t, syscall.SIGTERM)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("exit %d of one that was not stopped:\n%s", code, s.text())
	}
	b.leftNothing(t, 0)
	b.clear(t)
	return c
}

func (c course) long() time.Duration { return c[len(c)-1].Sub(c[0]) }

// moment is a share of the way from the beginning to the end, told by the log: after which line, and how long after it. So it is the same moment of the
// work on a machine that is slower by then.
func (c course) moment(share float64) (line int, after time.Duration) {
	at := c[0].Add(time.Duration(share * float64(c.long())))
	line, _ = slices.BinarySearchFunc(c[:len(c)-1], at, time.Time.Compare)
	line = max(line-1, 0)
	return line, at.Sub(c[line])
}

// stop sends SIGTERM at a moment, and tells the exit code, as a shell has it, and how long the end took.
func (b *berth) stop(t *testing.T, s *service, line int, after time.Duration) (code int, took time.Duration) {
	t.Helper()
	s.says(t, line)
	select {
	case <-time.After(after):
	case <-s.gone:
	}
	sent := time.Now()
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // which fails if it was done before
	select {
	case <-s.gone:
	case <-time.After(3 * time.Minute):
		t.Fatalf("SIGTERM did not end it:\n%s", s.text())
	}
	took = time.Since(sent)
	b.log = s.text()
	if status := s.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		if b.log != "" || status.Signal() != syscall.SIGTERM {
			t.Errorf("%s killed it", status.Signal())
		}
		return 128 + int(status.Signal()), took // before it could do anything
	}
	return s.cmd.ProcessState.ExitCode(), took
}

// leftNothing looks for files, processes and halves of backups, and whether the log says what is there.
func (b *berth) leftNothing(t *testing.T, code int) {
	t.Helper()
	if left, err := os.ReadDir(b.work); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	if all := processesWith(t, "TMPDIR="+b.work); len(all) > 0 {
		t.Errorf("it left processes: %q", all)
	}
	here, there := objectsIn(t, b.file), b.objectsThere(t)
	if halves := append(here.halves(), there.halves()...); len(halves) > 0 {
		t.Errorf("halves of backups are in the stores: %q", halves)
	}
	if n := b.unfinished(t); n > 0 {
		t.Errorf("%d uploads are unfinished", n)
	}
	committed := len(here.manifests()) + len(there.manifests())
	switch text := b.log; {
	case strings.Contains(text, "no backup was committed") && committed > 0:
		t.Errorf("it says that no backup was committed, and there are %q and %q", here.manifests(), there.manifests())
	case code == 143 && text != "" && !strings.Contains(text, "lifeboat: error: interrupted by SIGTERM: "):
		t.Error("it does not say that it was interrupted")
	case code == 0 && strings.Contains(text, "lifeboat: error"):
		t.Error("it says that something failed")
	}
}

// goesOn makes sure that the next backup and verification succeed; in the short run those of one cluster.
func (b *berth) goesOn(t *testing.T) {
	t.Helper()
	for _, cluster := range []string{"a", "b"} {
		flags := []string{"--cluster", cluster, "--config", b.config}
		if cluster == "b" && (!lab.Long() || len(objectsIn(t, b.file).of("b")) == 0) {
			continue // or nobody had begun with it
		}
		lifeboat(t, append([]string{"backup"}, flags...)...).must(t, 0)
		lifeboat(t, append([]string{"verify", "--all", "--deep"}, flags...)...).must(t, 0)
	}
}

// processesWith are the command lines of those that have a variable in their environment.
func processesWith(t *testing.T, variable string) (all []string) {
	t.Helper()
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range environments {
		text, err := os.ReadFile(file)
		if err != nil || !slices.Contains(strings.Split(string(text), "\x00"), variable) {
			continue // it ended meanwhile, or is somebody else's
		}
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline")) // as above
		all = append(all, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
	}
	return all
}
