package restore

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// An owner is whose a data directory is: what an etcd that does not run as root needs to be right.
type owner struct {
	uid, gid int
	mode     fs.FileMode // of the directory itself; 0 leaves it at what restores make
	label    []byte      // of SELinux; nil where there is none
}

const selinux = "security.selinux"

// ownerOf reads the owner of an existing directory.
func ownerOf(dir string) (*owner, error) {
	st, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("whose %s is, is not told", dir)
	}
	o := &owner{uid: int(sys.Uid), gid: int(sys.Gid), mode: st.Mode().Perm()}
	label := make([]byte, 1024)
	if n, err := unix.Lgetxattr(dir, selinux, label); err == nil {
		o.label = label[:n]
	}
	return o, nil
}

// give makes everything beneath root, and root itself, the owner's. That the label cannot be set ends nothing: the error that unlabelled
// gets, at most once, is for a person who can set it.
func (o *owner) give(root string, unlabelled func(error)) error {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := os.Lchown(path, o.uid, o.gid); err != nil {
			return err
		}
		if unlabelled != nil && o.label != nil {
			if err := unix.Lsetxattr(path, selinux, o.label, 0); err != nil {
				unlabelled(&os.PathError{Op: "set the SELinux label of", Path: path, Err: err})
				unlabelled = nil
			}
		}
		return syncAt(path)
	})
	if err != nil {
		return fmt.Errorf("give the directory to its owner: %w", err)
	}
	if o.mode != 0 {
		if err := os.Chmod(root, o.mode); err != nil {
			return err
		}
	}
	return syncAt(root)
}

// mayGive reports whether this process may make files that owner's.
func (o *owner) mayGive() bool {
	return os.Geteuid() == 0 || o.uid == os.Geteuid() && o.gid == os.Getegid()
}

// mounted reports whether dir is a mount point.
func mounted(dir string) bool {
	var here, above unix.Stat_t
	return unix.Lstat(dir, &here) == nil && unix.Lstat(filepath.Dir(dir), &above) == nil && here.Dev != above.Dev
}

// exchange makes two paths change places in one step.
func exchange(a, b string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}
