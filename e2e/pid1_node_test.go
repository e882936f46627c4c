//go:build node

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestNodeAServiceThatIsTheFirstProcessOfItsContainerLeavesNoZombies runs a service as process 1, to which the kernel gives every orphan and no signal that
// nobody asked for. There is no shell and no init beside it. Its children are the parts of Lifeboat that open databases, members of the built-in etcd,
// and an etcd of another version.
func TestNodeAServiceThatIsTheFirstProcessOfItsContainerLeavesNoZombies(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{Version: "3.6", Members: 1})
	site := newSite(t)
	jobs := `schedule: "@every 2s", verify: {schedule: "@every 3s", deep: true}, prune: {schedule: "@every 3s"}, retention: {last: 1, floor: 1}, `
	site.configure(t,
		[3]string{"built-in", c.Endpoints()[0], jobs + `rehearse: {schedule: "@every 3s", members: 3}`},
		[3]string{"binary", c.Endpoints()[0], jobs + fmt.Sprintf(`rehearse: {schedule: "@every 3s", members: 1, etcd: [%q]}`, lab.Tool(t, "etcd-3.6", "etcd"))})
	work := filepath.Join(site.dir, "work")
	if err := os.Mkdir(work, 0o700); err != nil {
		t.Fatal(err)
	}
	first := func(grace string) *service {
		cmd := exec.Command(filepath.Join(built, "lifeboat"), "run", "--config", site.config, "--parallel", "3", "--grace", grace)
		cmd.Env = append(os.Environ(), "TMPDIR="+work)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
		return attend(t, cmd)
	}
	s := first("1m")
	for _, job := range []string{"backup", "verify", "rehearse", "prune"} {
		s.until(t, 2, `msg="job done"`, "cluster=built-in job="+job+" ")
		s.until(t, 2, `msg="job done"`, "cluster=binary job="+job+" ")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		zombies := childrenOf(t, s.cmd.Process.Pid, "Z")
		if len(zombies) == 0 { // one that has just ended is one until its parent looks
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("zombies are left: %q", zombies)
		}
	}
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
	s = first("0s")
	for deadline := time.Now().Add(3 * time.Minute); !strings.Contains(strings.Join(processesWith(t, "TMPDIR="+work), " "), "etcd"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no member of a rehearsal has begun")
		}
	}
	began := time.Now()
	if code := s.end(t, syscall.SIGTERM); code != 143 {
		t.Errorf("exit %d in the middle of a rehearsal", code)
	}
	took := time.Since(began)
	lab.Report(t, "process 1 of a container ended %s after SIGTERM in the middle of a rehearsal", took.Round(time.Millisecond))
	if took > soon {
		t.Errorf("it took %s to end", took)
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	if all := processesWith(t, "TMPDIR="+work); len(all) > 0 {
		t.Errorf("it left processes: %q", all)
	}
}

// childrenOf are the children of a process that are in a state, by their names.
func childrenOf(t *testing.T, pid int, state string) (all []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it is gone
		}
		before, after, _ := strings.Cut(string(text), ") ") // the name may hold spaces
		if fields := strings.Fields(after); len(fields) > 1 && fields[0] == state && fields[1] == strconv.Itoa(pid) {
			all = append(all, before)
		}
	}
	return all
}
