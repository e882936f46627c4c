package node

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// Beside runs a test beside a node of its own: in another process, which is this binary told to run only this test, where it comes here again. The
// test has to begin with it. If it fails, the logs of the node are kept, and what its pods and events say is printed.
func Beside(t *testing.T, test func(t *testing.T, n *Node)) {
	t.Helper()
	if !Enclosed() {
		enclose(t)
		return
	}
	n, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	evidence := lab.Dir(t)
	t.Cleanup(func() {
		if t.Failed() {
			n.describe(t)
			if err := os.CopyFS(filepath.Join(evidence, "logs"), os.DirFS(n.Logs)); err != nil {
				t.Error(err)
			}
		}
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
	test(t, n)
}

func enclose(t *testing.T) {
	t.Helper()
	const last = 30 * time.Second // for the enclosed test to give up before this one does
	args := []string{"-test.run=^" + regexp.QuoteMeta(t.Name()) + "$", "-test.v=" + map[bool]string{true: "true", false: "false"}[testing.Verbose()]}
	if end, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+(time.Until(end)-last).String())
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := Enclose(t.Context(), cmd); err != nil {
		t.Errorf("beside the node: %v\n%s", err, &said)
	} else if testing.Verbose() {
		t.Logf("beside the node:\n%s", &said)
	}
}

// describe tells what became of the pods.
func (n *Node) describe(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), ready)
	defer cancel()
	for _, args := range [][]string{
		{"get", "pods,jobs,cronjobs", "--all-namespaces", "--output=wide"},
		{"get", "events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp"},
	} {
		said, err := n.Kubectl(ctx, args...)
		if err != nil {
			said = err.Error()
		}
		t.Logf("kubectl %v\n%s", args, said)
	}
}
