//go:build node

package restore

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/restore/like"
)

// TestNodeANewDirectoryBelongsToTheOwnerOfTheOldOne restores as root into the place of another user's directory, and with a file that
// names one.
func TestNodeANewDirectoryBelongsToTheOwnerOfTheOldOne(t *testing.T) {
	t.Parallel()
	s := oldBackup(t)
	label := []byte("system_u:object_r:etcd_var_lib_t:s0\x00")
	wantOwner := func(t *testing.T, dir string, uid, gid uint32, labelled bool) {
		t.Helper()
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			st, err := os.Lstat(path)
			if sys, ok := st.Sys().(*syscall.Stat_t); err != nil || !ok || sys.Uid != uid || sys.Gid != gid {
				t.Errorf("%s belongs to %+v, want %d:%d: %v", path, st.Sys(), uid, gid, err)
			}
			got := make([]byte, 100)
			if n, err := unix.Lgetxattr(path, selinux, got); labelled && (err != nil || string(got[:n]) != string(label)) {
				t.Errorf("%s has the label %q: %v", path, got[:max(n, 0)], err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	t.Run("in its place", func(t *testing.T) {
		parent := t.TempDir()
		p := s.plan("")
		p.Only, p.DataDir, p.MoveAside = "m1", filepath.Join(parent, "etcd"), true
		occupied(t, p.DataDir)
		if err := os.Chmod(p.DataDir, 0o770); err != nil {
			t.Fatal(err)
		}
		labelled := unix.Lsetxattr(p.DataDir, selinux, label, 0) == nil
		t.Logf("labels can be set here: %v", labelled)
		if err := os.Lchown(p.DataDir, 4711, 4712); err != nil {
			t.Fatal(err)
		}
		res := mustRun(t, p, s.deps())
		wantOwner(t, p.DataDir, 4711, 4712, labelled)
		if st, err := os.Stat(p.DataDir); err != nil || st.Mode().Perm() != 0o770 {
			t.Errorf("mode %v, %v", st.Mode(), err)
		}
		wantOld(t, res.Asides[0].To, "etcd")
	})
	t.Run("of a unit's user", func(t *testing.T) {
		p := s.plan("")
		p.Like = &like.Node{File: "/etc/systemd/system/etcd.service", Kind: like.Unit, Name: "m1", DataDir: filepath.Join(t.TempDir(), "etcd"), User: "nobody", Group: "4713"}
		mustRun(t, p, s.deps())
		wantOwner(t, p.Like.DataDir, 65534, 4713, false)
	})
	t.Run("of a user that is not here", func(t *testing.T) {
		p := s.plan("")
		p.Like = &like.Node{File: "/etc/systemd/system/etcd.service", Kind: like.Unit, Name: "m1", DataDir: filepath.Join(t.TempDir(), "etcd"), User: "no-such-user"}
		if err := p.Resolve(); err != nil || len(p.Attention) != 1 {
			t.Errorf("%v, attention %q", err, p.Attention)
		}
	})
	t.Run("on a mount point", func(t *testing.T) {
		p := s.plan("")
		p.Only, p.DataDir, p.MoveAside = "m1", "/proc", true
		if err := p.Check(t.Context(), taken, s.ids); err == nil || !mounted("/proc") {
			t.Errorf("a mount point is accepted: %v", err)
		}
	})
}
