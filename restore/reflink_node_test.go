//go:build node

package restore

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

// TestNodeMembersShareBlocksOnXFS restores three members on a file system that can share blocks, and has them boot.
func TestNodeMembersShareBlocksOnXFS(t *testing.T) {
	disk := mountXFS(t)
	path, _ := oldFile(t)
	res := mustRun(t, Plan{Source: fileSource(t, path), Members: newMembers(t, "http", "a", "b", "c"), Out: filepath.Join(disk, "out"), NoBump: true}, Deps{})
	digests := map[string]bool{}
	for _, m := range res.Members {
		sum, _, _ := look(t, dbOf(m), nil)
		digests[sum] = true
	}
	if len(digests) != 1 {
		t.Errorf("the members' files differ: %v", digests)
	}
	out, err := exec.Command("filefrag", "-v", dbOf(res.Members[2])).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "shared") {
		t.Errorf("the third member's database shares nothing: %v\n%s", err, out)
	}
	t.Run("boot", func(t *testing.T) { boot(t, "3.7", res.Members...).wantHash(t, res.Hash) })
}

// mountXFS makes a file system in a file, for the length of the test.
func mountXFS(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	image, disk := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 2<<30); err != nil {
		t.Fatal(err)
	}
	mkdir(t, disk)
	mkfs := exec.Command(lab.Tool(t, tools.Debian, "../../sbin/mkfs.xfs"), "-q", image)
	libs, err := filepath.Glob(filepath.Join(filepath.Dir(mkfs.Path), "..", "usr", "lib", "*-linux-gnu"))
	if err != nil || len(libs) == 0 {
		t.Fatalf("no libraries beside %s: %v", mkfs.Path, err)
	}
	mkfs.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libs, ":"))
	for _, cmd := range []*exec.Cmd{mkfs, exec.Command("mount", "-o", "loop", image, disk)} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	t.Cleanup(func() {
		runtime.GC() // closes what etcd's wal package leaves open
		time.Sleep(100 * time.Millisecond)
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
	return disk
}
