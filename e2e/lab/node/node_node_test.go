//go:build node

package node_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab/node"
)

// waits is a pod that runs until it is deleted.
const waits = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "waits"},
"spec": {"containers": [{"name": "c", "image": "lab.local/pause:1", "imagePullPolicy": "Never"}]}}`

// TestNodeLeavesNothingWhenItIsKilled starts one by hand, and a pod on it, and kills what was started without a warning.
func TestNodeLeavesNothingWhenItIsKilled(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "node")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/lifeboat-dr/lifeboat/e2e/node").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mark := "LIFEBOAT_TEST_MARK=" + rand.Text()
	cmd := exec.CommandContext(t.Context(), binary, "sh", "-c",
		"echo '"+waits+"' | kubectl apply --filename=- && kubectl wait --for=condition=Ready pod/waits --timeout=3m && echo up && sleep 600")
	cmd.Env = append(os.Environ(), mark)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	up := false
	for lines := bufio.NewScanner(out); !up && lines.Scan(); {
		up = lines.Text() == "up"
	}
	if len(groups(t)) == 0 || len(processes(t, mark)) < 8 {
		t.Errorf("what is to be swept away is not to be seen: %v, %v", groups(t), processes(t, mark))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // which says that it was killed
	if !up {
		t.Fatalf("no pod runs: %s", &complaints)
	}
	mine, err := node.TakeTurn(t.Context()) // or what is seen may be another's
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	if left := append(processes(t, mark), groups(t)...); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// processes are those that have a variable in their environment.
func processes(t *testing.T, variable string) (found []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if env, err := os.ReadFile(file); err == nil && bytes.Contains(env, []byte(variable)) { // others have ended by now
			found = append(found, file)
		}
	}
	return found
}

// groups are the control groups of containers.
func groups(t *testing.T) (found []string) {
	t.Helper()
	for _, pattern := range []string{"/sys/fs/cgroup/k8s.io", "/sys/fs/cgroup/*/k8s.io"} {
		some, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, some...)
	}
	return found
}
