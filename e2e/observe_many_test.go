package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

const (
	manyClusters = 500
	manyBackups  = 12 // of each
)

// TestObserveOf500ClustersStaysResponsive gives one sink 500 clusters with a dozen backups each, and measures what an observer of them takes.
func TestObserveOf500ClustersStaysResponsive(t *testing.T) {
	t.Parallel()
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
	multiply(t, filepath.Join(site.bucket, "v1"))

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
		if m["observation_success"+name] != 1 || m["restorable_backups"+name] != manyBackups || m["unreadable_objects"+name] != 0 {
			t.Fatalf("of %s it shows %v", name, m.of(fmt.Sprintf("c%03d", i)))
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	highest := 0
	for line := range strings.Lines(string(status)) {
		if kilobytes, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, _ = fmt.Sscan(kilobytes, &highest)
		}
	}
	lab.Report(t, "%d clusters with %d backups each: all read after %s, %d series, the slowest of %d scrapes meanwhile took %s; %d MB of memory at most",
		manyClusters, manyBackups, ready.Round(time.Millisecond), len(m), scrapes, slowest.Round(time.Millisecond), highest*1024/1e6)
	if slowest > 10*time.Second { // which is when Prometheus gives up
		t.Errorf("a scrape took %s", slowest)
	}
	if highest == 0 || highest > 250<<10 {
		t.Errorf("it took %d kB of memory", highest)
	}
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// multiply makes of the backups of c000 those of all other clusters: the manifests say whose they are, and each tells of the one before.
func multiply(t *testing.T, root string) {
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
