package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

const manyClusters = 500

// TestObserveOf500ClustersStaysResponsive gives one sink 500 clusters with some backups each, 60 with LIFEBOAT_TEST_LONG=1, and measures what an observer of
// them takes.
func TestObserveOf500ClustersStaysResponsive(t *testing.T) {
	t.Parallel()
	manyBackups := 6
	if lab.Long() {
		manyBackups = 60
	}
	site := newSite(t)
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	text := "clusters:\n"
	for i := range manyClusters {
		text += fmt.Sprintf("- {name: c%03d, sinks: [here], schedule: \"*/15 * * * *\", verify: {schedule: \"0 2 * * *\"}, retention: {last: 9}}\n", i)
	}
	text += fmt.Sprintf("sinks: {here: {url: \"file://%s\"}}\n", site.bucket)
	if err := os.WriteFile(site.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range manyBackups {
		lifeboat(t, append(etcdFlags(c), "backup", "--cluster", "c000", "--recipients-file", site.keys.recipients, "--sink", "file://"+site.bucket)...).must(t, 0)
	}
	multiply(t, filepath.Join(site.bucket, "v1"), manyBackups)

	began := time.Now()
	s := launch(t, nil, "observe", "--config", site.config, "--listen", "127.0.0.1:0")
	slowest, scrapes := time.Duration(0), 0
	for ready := false; !ready; scrapes++ { // while everything is read
		asked := time.Now()
		s.scrape(t)
		slowest = max(slowest, time.Since(asked))
		code, _ := ask(t, s.address(t)+"/readyz")
		ready = code == http.StatusOK
		if time.Since(began) > 3*time.Minute {
			t.Fatal("it does not get ready")
		}
		time.Sleep(100 * time.Millisecond)
	}
	ready := time.Since(began)
	m := s.scrape(t)
	for i := range manyClusters {
		name := fmt.Sprintf(`{cluster="c%03d"}`, i)
		if m["observation_success"+name] != 1 || m["restorable_backups"+name] != float64(manyBackups) || m["unreadable_objects"+name] != 0 {
			t.Fatalf("of %s it shows %v", name, m.of(fmt.Sprintf("c%03d", i)))
		}
	}
	if lab.Long() {
		before := processor(t, s.cmd.Process.Pid)
		time.Sleep(3 * time.Minute)
		lab.Report(t, "reading them all once a minute takes %s of a processor in three minutes", processor(t, s.cmd.Process.Pid)-before)
	}
	highest := highestMemory(t, s.cmd.Process.Pid)
	lab.Report(t, "%d clusters with %d backups each: all read after %s, %d series, the slowest of %d scrapes meanwhile took %s; %d MB of memory at most",
		manyClusters, manyBackups, ready.Round(time.Millisecond), len(m), scrapes, slowest.Round(time.Millisecond), highest/1e6)
	if slowest > time.Minute { // it would have waited for what is read
		t.Errorf("a scrape took %s", slowest)
	}
	if highest == 0 || highest > 400e6 {
		t.Errorf("it took %d bytes of memory", highest)
	}
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// highestMemory is how many bytes a process had at most.
func highestMemory(t *testing.T, pid int) (bytes int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if kilobytes, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if _, err := fmt.Sscan(kilobytes, &bytes); err != nil {
				t.Fatal(err)
			}
		}
	}
	return bytes << 10
}

// processor is the processor time that a process has taken, which the kernel counts in hundredths of a second.
func processor(t *testing.T, pid int) (took time.Duration) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	for _, field := range strings.Fields(after)[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		took += time.Duration(ticks) * 10 * time.Millisecond
	}
	return took
}

// multiply makes of the backups of c000 those of all other clusters: the manifests say whose they are, and each tells of the one before.
func multiply(t *testing.T, root string, manyBackups int) {
	t.Helper()
	notes, err := filepath.Glob(filepath.Join(root, "c000", "manifests", "*.note"))
	if err != nil || len(notes) != manyBackups {
		t.Fatalf("there are %d manifests: %v", len(notes), err)
	}
	slices.SortFunc(notes, func(a, b string) int { return strings.Compare(sequenceOf(t, a), sequenceOf(t, b)) })
	for i := 1; i < manyClusters; i++ {
		name := fmt.Sprintf("c%03d", i)
		for _, kind := range []string{"manifests", "snapshots"} {
			if err := os.MkdirAll(filepath.Join(root, name, kind), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		var was, is string
		for _, note := range notes {
			text, err := os.ReadFile(note)
			if err != nil {
				t.Fatal(err)
			}
			mine := strings.ReplaceAll(strings.ReplaceAll(string(text), `"c000"`, `"`+name+`"`), "v1/c000/", "v1/"+name+"/")
			if was != "" {
				mine = strings.ReplaceAll(mine, was, is)
			}
			was, is = textHash(string(text)), textHash(mine)
			id := strings.TrimSuffix(filepath.Base(note), ".note")
			if err := os.WriteFile(filepath.Join(root, name, "manifests", id+".note"), []byte(mine), 0o600); err != nil {
				t.Fatal(err)
			}
			payload := filepath.Join("snapshots", id+".db.zst.age")
			if err := os.Link(filepath.Join(root, "c000", payload), filepath.Join(root, name, payload)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// sequenceOf is the place of a manifest in the chain, as text of equal length.
func sequenceOf(t *testing.T, note string) string {
	t.Helper()
	text, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Sequence int }
	decode(t, strings.SplitN(string(text), "\n", 2)[0], &m)
	return fmt.Sprintf("%08d", m.Sequence)
}

// textHash is what the next manifest says of one.
func textHash(note string) string {
	line, _, _ := strings.Cut(note, "\n")
	sum := sha256.Sum256([]byte(line + "\n"))
	return hex.EncodeToString(sum[:])
}
