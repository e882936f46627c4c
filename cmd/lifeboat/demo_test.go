package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// pageOfOutput is how many lines the demo's story may have.
const pageOfOutput = 60

// tryDemo runs the demo in a temporary directory of its own, in which nothing may be left.
func tryDemo(t *testing.T, ctx context.Context, args ...string) (code int, story, complaint string) {
	t.Helper()
	tmp := lab.Dir(t)
	t.Setenv("TMPDIR", tmp)
	var out, errs bytes.Buffer
	code = run(ctx, append([]string{"demo"}, args...), streams{in: strings.NewReader(""), out: &out, err: &errs})
	t.Logf("exit %d\n%s%s", code, out.String(), errs.String())
	left, err := os.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		t.Errorf("%s is left", e.Name())
	}
	return code, out.String(), errs.String()
}

// comparison finds the rows of the table at the story's end, by their first two columns.
func comparison(t *testing.T, story string) map[string][]string {
	t.Helper()
	rows := map[string][]string{}
	for line := range strings.Lines(story) {
		f := strings.Fields(line)
		if len(f) >= 7 && (f[0] == "source" || f[0] == "backup" || f[0] == "restored") && f[2] != "" {
			rows[f[0]+" "+f[1]] = f[2:]
		}
	}
	return rows
}

// TestTheDemoBringsEverythingBack runs the main job and reads its table as a person would.
func TestTheDemoBringsEverythingBack(t *testing.T) {
	code, story, complaint := tryDemo(t, t.Context())
	if code != exitDone || complaint != "" {
		t.Errorf("exit %d: %s", code, complaint)
	}
	if n := strings.Count(story, "\n"); n > pageOfOutput {
		t.Errorf("the story has %d lines", n)
	}
	rows := comparison(t, story)
	source, ok := rows["source etcd-1"]
	if !ok {
		t.Fatal("no row of the source")
	}
	for _, name := range []string{
		"source etcd-2", "source etcd-3", "restored etcd-1", "restored etcd-2", "restored etcd-3",
		"restored rehearsal-1", "restored rehearsal-2", "restored rehearsal-3",
	} {
		if got := strings.Join(rows[name], " "); got != strings.Join(source, " ") {
			t.Errorf("%s: %s, and the source %v", name, got, source)
		}
	}
}

// TestAFlippedValueEndsTheDemoWithItsOwnCode has one bit of one value changed in a restored member before it starts.
func TestAFlippedValueEndsTheDemoWithItsOwnCode(t *testing.T) {
	keep := filepath.Join(t.TempDir(), "kept")
	code, story, complaint := tryDemo(t, t.Context(), "--damage", "--keep", keep)
	if code != exitRehearsal || !strings.Contains(complaint, "etcd-2") {
		t.Errorf("exit %d: %s", code, complaint)
	}
	for name, row := range comparison(t, story) {
		if different := row[len(row)-1] == "DIFFERENT"; different != (name == "restored etcd-2") {
			t.Errorf("%s: %v", name, row)
		}
	}
	if !strings.Contains(story, "20,692 of 20,693 keys") {
		t.Error("the comparison key by key does not find one key of all")
	}

	// What is kept is of use: the backup that was made is whole.
	t.Setenv("TMPDIR", t.TempDir())
	var out, errs bytes.Buffer
	args := []string{
		"verify", "latest", "--deep", "--sink", "file://" + filepath.Join(keep, "bucket"),
		"--identity", filepath.Join(keep, "keys", "operator.key"), "--trusted-keys-file", filepath.Join(keep, "keys", "signing.key.pub"),
	}
	if code := run(t.Context(), args, streams{out: &out, err: &errs}); code != exitDone {
		t.Errorf("verify: exit %d\n%s%s", code, out.String(), errs.String())
	}
	// And it is not overwritten by the next one.
	if code, _, complaint := tryDemo(t, t.Context(), "--keep", keep); code != exitUsage || !strings.Contains(complaint, "not empty") {
		t.Errorf("exit %d: %s", code, complaint)
	}
}

// TestAnInterruptedDemoLeavesNothing stops it at different moments.
func TestAnInterruptedDemoLeavesNothing(t *testing.T) {
	for _, after := range []time.Duration{300 * time.Millisecond, 4 * time.Second, 14 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			timer := time.AfterFunc(after, func() { cancel(interrupted{syscall.SIGINT}) })
			defer timer.Stop()
			if code, _, complaint := tryDemo(t, ctx); code != exitInterrupt {
				t.Errorf("exit %d: %s", code, complaint)
			}
		})
	}
}
