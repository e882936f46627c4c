package snapshot

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Room checks that the file system of dir has need bytes free for this user. Its error matches ErrSpool. What a spool on a
// compressed or overcommitted file system really needs is more than this can know.
func Room(dir string, need int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return &kindError{ErrSpool, fmt.Errorf("spool directory %s: %w", dir, err)}
	}
	free := int64(st.Bavail) * int64(st.Bsize)
	if free < need {
		return &kindError{ErrSpool, fmt.Errorf("spool directory %s has %d MiB free, the snapshot needs %d MiB", dir, free>>20, (need+1<<20-1)>>20)}
	}
	return nil
}

// SpoolOnEtcdDisk tells whether dir lies on the device of an etcd data directory, and of which: there a spool competes
// with the member's fsyncs. dataDirs are looked at if given, otherwise the places where distributions put etcd. It is a guess
// for a warning: it does not see through partitions of one disk.
func SpoolOnEtcdDisk(dir string, dataDirs ...string) (string, bool) {
	if len(dataDirs) == 0 {
		dataDirs = []string{
			"/var/lib/etcd", "/var/lib/etcd/default", "/var/lib/etcd/default.etcd", "/var/lib/rancher/k3s/server/db/etcd",
			"/var/lib/rancher/rke2/server/db/etcd", "/var/lib/k0s/etcd", "/var/snap/etcd/common/data",
		}
	}
	var spool unix.Stat_t
	if err := unix.Stat(dir, &spool); err != nil {
		return "", false
	}
	for _, d := range dataDirs {
		for _, part := range []string{"member/wal", "member/snap"} {
			path := filepath.Join(d, part)
			if info, err := os.Stat(path); err != nil || !info.IsDir() {
				continue
			}
			var st unix.Stat_t
			if unix.Stat(path, &st) == nil && st.Dev == spool.Dev {
				return d, true
			}
		}
	}
	return "", false
}
