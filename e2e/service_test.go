package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
)

// TestServiceDoesEveryJobOfEveryCluster lets a service back up, verify, rehearse and prune one real cluster beside one that is gone, takes a third into
// its configuration, and starts it again.
func TestServiceDoesEveryJobOfEveryCluster(t *testing.T) {
	t.Parallel()
	first := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	third := lab.StartCluster(t, lab.ClusterOptions{Version: "3.5", Members: 1})
	if _, err := kubedata.Fill(t.Context(), first.Client(t), kubedata.Options{Keys: 100, Seed: 21}); err != nil {
		t.Fatal(err)
	}
	var good, bad atomic.Int64
	watcher := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		map[string]*atomic.Int64{"/good": &good, "/bad": &bad}[r.URL.Path].Add(1)
	}))
	t.Cleanup(watcher.Close)
	site := newSite(t)
	heart := fmt.Sprintf("heartbeat: {success: %s/good, fail: %s/bad}", watcher.URL, watcher.URL)
	jobs := `verify: {schedule: "0 3 * * *", sample: 10%}, rehearse: {schedule: "0 4 1 1 *", members: 1}`
	one := [3]string{"first", first.Endpoints()[0], `schedule: "@every 2s", prune: {schedule: "@every 3s"}, retention: {last: 2, floor: 1}, ` + jobs + ", " + heart}
	two := [3]string{"gone", "http://127.0.0.1:1", `schedule: "@every 2s", cross-check: {schedule: "@yearly"}, ` + heart}
	site.configure(t, one, two)

	s := serve(t, "--config", site.config, "--parallel", "3")
	s.until(t, 2, `msg="job failed"`, `cluster=gone job=backup`, `outcome="etcd unreachable, unhealthy or forbidden" code=4`, `hint=`)
	failed := s.until(t, 1, `msg="job failed"`, `cluster=gone job=cross-check`, `code=4`) // which may pass: it is not left alone for a year
	next, err := time.Parse(time.RFC3339, regexp.MustCompile(`next=(\S+)`).FindStringSubmatch(failed)[1])
	if err != nil || time.Until(next) > 2*time.Minute {
		t.Errorf("it is not tried again soon: %s, %v", failed, err)
	}
	s.until(t, 1, `msg="job done"`, `cluster=first job=verify`)
	s.until(t, 1, `msg="job done"`, `cluster=first job=rehearse`)
	s.until(t, 8, `msg="job done"`, `cluster=first job=backup`, `code=0`)
	s.until(t, 1, `removed [1-9]\d* backups`, `cluster=first job=prune`)
	if good.Load() < 8 || bad.Load() < 2 {
		t.Errorf("%d good heartbeats and %d bad ones", good.Load(), bad.Load())
	}
	// The job's own lines say whose they are.
	s.until(t, 1, `msg=phase phase=read-back cluster=first job=backup$`)

	site.configure(t, one, two, [3]string{"third", third.Endpoints()[0], `schedule: "61 * * * *"`})
	hangUp(t, s)
	s.until(t, 1, `mistake in the configuration`, `third`, `61`)
	s.until(t, 1, `not taken, and the one from before goes on`)
	site.configure(t, one, [3]string{"third", third.Endpoints()[0], `schedule: "@yearly"`})
	hangUp(t, s)
	s.until(t, 1, `configuration taken`)
	s.until(t, 1, `msg="job done"`, `cluster=third job=backup`)
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d after everything was done", code)
	}
	s.mu.Lock()
	if !strings.Contains(s.log[len(s.log)-1], "nothing was left running") {
		t.Errorf("the last line is %s", s.log[len(s.log)-1])
	}
	s.mu.Unlock()

	if ids := site.backups(t, "first"); len(ids) < 2 || len(site.backups(t, "third")) != 1 {
		t.Errorf("there are the backups %v and %v", ids, site.backups(t, "third"))
	}
	lifeboat(t, "verify", "latest", "--deep", "--cluster", "first", "--sink", "file://"+site.bucket, "--identity", site.keys.identity).must(t, 0)
	lifeboat(t, "list", "--cluster", "gone", "--sink", "file://"+site.bucket).must(t, 0)
	whatIsInTheSinksIsNotDoneAgain(t, site)
}

// whatIsInTheSinksIsNotDoneAgain starts another process for the same clusters.
func whatIsInTheSinksIsNotDoneAgain(t *testing.T, site *site) {
	t.Helper()
	s := serve(t, "--config", site.config)
	s.until(t, 1, `job not needed`, `cluster=third job=backup`)
	s.until(t, 1, `job not needed`, `cluster=first job=verify`)
	s.until(t, 1, `job not needed`, `cluster=first job=rehearse`)
	if code := s.end(t, syscall.SIGINT); code != 0 {
		t.Errorf("exit %d after SIGINT", code)
	}
}

// TestServiceLetsSpoolsWaitForRoom gives three backups room for one.
func TestServiceLetsSpoolsWaitForRoom(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	site := newSite(t)
	names := []string{"one", "two", "three"}
	var clusters [][3]string
	for _, name := range names {
		clusters = append(clusters, [3]string{name, c.Endpoints()[0], `schedule: "@every 1s"`})
	}
	site.configure(t, clusters...)
	s := serve(t, "--config", site.config, "--parallel", "3", "--spool-budget", "1KiB")
	for _, name := range names {
		s.until(t, 3, `msg="job done"`, "cluster="+name)
	}
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
	holds := ""
	for line := range strings.Lines(s.text()) {
		m := regexp.MustCompile(`msg=phase phase=(save|commit) cluster=(\S+)`).FindStringSubmatch(line)
		switch {
		case m == nil:
		case m[1] == "commit":
			holds = ""
		case holds != "":
			t.Fatalf("%s saves while the room is %s's:\n%s", m[2], holds, s.text())
		default:
			holds = m[2]
		}
	}
}

// TestServiceKeepsOneSetOfConnectionsToAStore counts what a service has open after some jobs, and after many more.
func TestServiceKeepsOneSetOfConnectionsToAStore(t *testing.T) {
	t.Parallel()
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	minio := lab.StartMinIO(t)
	k := newKeys(t)
	config := filepath.Join(t.TempDir(), "lifeboat.yaml")
	text := "clusters:\n"
	for i := range 8 {
		text += fmt.Sprintf("  - {name: c%d, endpoints: [%q], sinks: [there], schedule: \"@every 1s\"}\n", i, c.Endpoints()[0])
	}
	text += fmt.Sprintf("sinks: {there: {url: \"s3://%s/etcd?region=%s&endpoint=%s\", credentials-file: %s}}\nencryption: {recipients-file: %s}\n",
		minio.Bucket(t), lab.Region, minio.URL, minio.CredentialsFile, k.recipients)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--config", config)
	openAfter := func(jobs int) int {
		s.until(t, jobs, `msg="job done"`)
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	few, many := openAfter(10), openAfter(50)
	lab.Report(t, "a service has %d files open after 10 backups into a bucket, and %d after 50", few, many)
	if many > few+20 {
		t.Errorf("%d files are open after 10 jobs, and %d after 50", few, many)
	}
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func hangUp(t *testing.T, s *service) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}
