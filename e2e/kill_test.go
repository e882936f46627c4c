package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// The phases that `backup` logs as it enters them, in order. The inspection begins with the upload, and goes on beside it.
var phases = []string{"survey", "save", "upload", "read-back", "commit"}

// marker stands in the values of the cluster that is backed up, so that plaintext can be looked for.
const marker = "plaintext-marker-7c1f0e"

// TestBackupKilledAtAnyMomentLeavesNothingHalfMade kills `lifeboat backup` with SIGKILL in every phase. Afterwards the bucket lists only
// backups that `verify --deep` accepts, no plaintext lies on the disk, and the next backup works. 200 kills with
// LIFEBOAT_TEST_LONG=1, 25 otherwise.
func TestBackupKilledAtAnyMomentLeavesNothingHalfMade(t *testing.T) {
	perPhase := 5
	if lab.Long() {
		perPhase = 41 // 5 × 41 = 205
	}
	k := startKillable(t)
	usual := k.timePhases(t)

	random := rand.New(rand.NewPCG(20261121, uint64(perPhase)))
	killed := map[string]int{}
	finished := 0
	for _, phase := range phases {
		for tries := 0; killed[phase] < perPhase; tries++ {
			if tries > 20*perPhase {
				t.Fatalf("after %d tries only %d kills hit %s (it takes %s)", tries, killed[phase], phase, usual[phase])
			}
			after := time.Duration(random.Float64() * float64(usual[phase]))
			hit := k.killIn(t, phase, after)
			if hit == "" {
				finished++
				continue
			}
			killed[hit]++
		}
	}
	total := 0
	for _, p := range phases {
		total += killed[p]
		lab.Report(t, "killed in %-9s %3d  %s", p, killed[p], strings.Repeat("#", killed[p]))
	}
	lab.Report(t, "%d kills, %d runs finished first", total, finished)

	k.everyListedBackupIsWhole(t)
	k.noPlaintext(t)
	lifeboat(t, k.args...).must(t, 0)
	lifeboat(t, "verify", "latest", "--deep", "--sink", k.sink, "--identity", k.keys.identity).must(t, 0)
}

// TestInterruptedBackupExits130AndSaysWhatIsLeft sends SIGINT, SIGTERM and SIGHUP in the middle.
func TestInterruptedBackupExits130AndSaysWhatIsLeft(t *testing.T) {
	k := startKillable(t)
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		run := k.start(t)
		run.until(t, "save")
		began := time.Now()
		if err := run.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		stderr := run.wait()
		if got := run.cmd.ProcessState.ExitCode(); got != code {
			t.Fatalf("%s: exit %d, want %d\n%s", sig, got, code, stderr)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %s to stop", sig, took)
		}
		if !regexp.MustCompile(`lifeboat: error: interrupted by .*: no backup was committed`).MatchString(stderr) {
			t.Errorf("%s: the message does not say what is left:\n%s", sig, stderr)
		}
	}
	if out := lifeboat(t, "list", "--sink", k.sink).must(t, 0).stdout; out != "" {
		t.Errorf("an interrupted backup is listed:\n%s", out)
	}
	k.noPlaintext(t)
}

// killable is a backup that takes long enough in every phase to be hit there.
type killable struct {
	args        []string
	keys        keys
	dir         string // holds everything a backup may write
	bucket      string
	sink, spool string
}

func startKillable(t *testing.T) *killable {
	t.Helper()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	if _, err := kubedata.Fill(t.Context(), c.Client(t), kubedata.Options{Keys: 8000, Bytes: 48 << 20, Seed: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Client(t).Put(t.Context(), "/registry/configmaps/default/marker", strings.Repeat(marker, 8)); err != nil {
		t.Fatal(err)
	}
	mustBeFindable(t, filepath.Join(c.Members()[0].DataDir, "member", "snap", "db"))
	k := &killable{keys: newKeys(t), dir: t.TempDir()}
	lab.Evidence(t, k.dir)
	k.bucket, k.spool = filepath.Join(k.dir, "bucket"), filepath.Join(k.dir, "spool")
	for _, dir := range []string{k.bucket, k.spool} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	k.sink = "file://" + k.bucket
	k.args = append([]string{"backup", "--recipients-file", k.keys.recipients, "--sink", k.sink, "--spool-dir", k.spool}, etcdFlags(c)...)
	return k
}

// running is one `lifeboat backup` whose standard error is read as it comes.
type running struct {
	cmd    *exec.Cmd
	lines  chan string
	all    bytes.Buffer
	begun  map[string]time.Time
	latest string
}

func (k *killable) start(t *testing.T) *running {
	t.Helper()
	r := &running{cmd: exec.Command(filepath.Join(built, "lifeboat"), k.args...), lines: make(chan string, 1000), begun: map[string]time.Time{}}
	r.cmd.Env = append(os.Environ(), "TMPDIR="+k.spool)
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			r.lines <- s.Text()
		}
	}()
	return r
}

var phaseLine = regexp.MustCompile(`msg=phase phase=(\S+)`)

func (r *running) note(line string) {
	r.all.WriteString(line + "\n")
	if m := phaseLine.FindStringSubmatch(line); m != nil {
		r.latest = m[1]
		r.begun[m[1]] = time.Now()
	}
}

// until reads until the run enters phase; it returns false when the run ended before.
func (r *running) until(t *testing.T, phase string) bool {
	t.Helper()
	for line := range r.lines {
		r.note(line)
		if r.latest == phase {
			return true
		}
	}
	return false
}

// wait reads the rest and returns all of standard error.
func (r *running) wait() string {
	for line := range r.lines {
		r.note(line)
	}
	r.cmd.Wait()
	return r.all.String()
}

// timePhases runs one backup to its end and returns how long each phase took.
func (k *killable) timePhases(t *testing.T) map[string]time.Duration {
	t.Helper()
	r := k.start(t)
	if stderr := r.wait(); !r.cmd.ProcessState.Success() {
		t.Fatalf("the first backup failed:\n%s", stderr)
	}
	ended := time.Now()
	took := map[string]time.Duration{}
	for i, p := range phases {
		end := ended
		if i+1 < len(phases) {
			end = r.begun[phases[i+1]]
		}
		if r.begun[p].IsZero() {
			t.Fatalf("the log does not tell when %s began:\n%s", p, r.all.String())
		}
		took[p] = end.Sub(r.begun[p])
	}
	t.Logf("phases take %v", took)
	return took
}

// killIn kills a backup so long after it entered phase, and returns the phase in which it died, "" when it had ended.
func (k *killable) killIn(t *testing.T, phase string, after time.Duration) string {
	t.Helper()
	r := k.start(t)
	if !r.until(t, phase) {
		t.Fatalf("the backup ended before %s:\n%s", phase, r.wait())
	}
	time.Sleep(after)
	r.cmd.Process.Kill()
	r.wait()
	if r.cmd.ProcessState.Exited() {
		return ""
	}
	return r.latest
}

func (k *killable) everyListedBackupIsWhole(t *testing.T) {
	t.Helper()
	var l struct {
		Backups []struct {
			ID string `json:"id"`
		} `json:"backups"`
		Problems []any `json:"problems"`
	}
	if err := json.Unmarshal([]byte(lifeboat(t, "list", "--sink", k.sink, "-o", "json").must(t, 0).stdout), &l); err != nil {
		t.Fatal(err)
	}
	if len(l.Problems) > 0 {
		t.Errorf("list has problems: %v", l.Problems)
	}
	for _, b := range l.Backups {
		lifeboat(t, "verify", b.ID, "--deep", "--sink", k.sink, "--identity", k.keys.identity).must(t, 0)
	}
	lab.Report(t, "%d backups are listed, and each passes verify --deep", len(l.Backups))
}

// noPlaintext looks for the marker in every file that the killed runs left.
func (k *killable) noPlaintext(t *testing.T) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(k.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		found, err := contains(path, marker)
		if found {
			t.Errorf("%s holds plaintext", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	lab.Report(t, "%d files left, none with plaintext", files)
}

// mustBeFindable makes sure that the search for plaintext can succeed: in the source's own database it does, as soon as etcd
// has written its buffer out.
func mustBeFindable(t *testing.T, path string) {
	t.Helper()
	for range 50 {
		if found, err := contains(path, marker); err != nil {
			t.Fatal(err)
		} else if found {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s is not found even in %s", marker, path)
}

func contains(path, text string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return bytes.Contains(data, []byte(text)), nil
}
