package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// lowSpace is how little free space is worth a word, in bytes: etcd's own limit is 8 GiB by common advice.
const lowSpace = 8 << 30

// Examine implements [sinks.Examined].
func (s *Sink) Examine(context.Context, string) []sinks.Finding {
	return []sinks.Finding{s.examineDisk(), s.examineMode(), s.examineSpace(), s.examineKind()}
}

// examineDisk tells of backups that would be lost with what they are backups of.
func (s *Sink) examineDisk() sinks.Finding {
	f := sinks.Finding{Name: "a disk of its own"}
	var here unix.Stat_t
	if err := unix.Stat(s.dir, &here); err != nil {
		f.Unknown, f.Detail = true, "cannot tell: "+err.Error()
		return f
	}
	for _, dir := range etcdDirectories() {
		var there unix.Stat_t
		if unix.Stat(filepath.Join(dir, "member"), &there) == nil && there.Dev == here.Dev {
			f.Detail = "it lies on the file system of the etcd data in " + dir + ": what destroys the one destroys the other, and their writes compete"
			return f
		}
	}
	f.OK, f.Detail = true, "no etcd data is known to lie on the same file system; keep a copy on another machine all the same"
	return f
}

// etcdDirectories are the places where distributions put etcd's data.
func etcdDirectories() []string {
	return []string{
		"/var/lib/etcd", "/var/lib/etcd/default", "/var/lib/etcd/default.etcd", "/var/lib/rancher/k3s/server/db/etcd",
		"/var/lib/rancher/rke2/server/db/etcd", "/var/lib/k0s/etcd", "/var/snap/etcd/common/data",
	}
}

func (s *Sink) examineMode() sinks.Finding {
	f := sinks.Finding{Name: "permissions"}
	info, err := os.Stat(s.dir)
	if err != nil {
		f.Unknown, f.Detail = true, "cannot tell: "+err.Error()
		return f
	}
	mode := info.Mode().Perm()
	switch {
	case mode&0o002 != 0:
		f.Detail = fmt.Sprintf("everybody on this machine may write it (mode %04o): chmod o-w %s", mode, s.dir)
	case mode&0o020 != 0:
		f.Detail = fmt.Sprintf("its group may write it (mode %04o), so it can remove backups: chmod g-w %s unless that is meant", mode, s.dir)
	default:
		f.OK, f.Detail = true, fmt.Sprintf("mode %04o; files are for their owner only", mode)
	}
	return f
}

func (s *Sink) examineSpace() sinks.Finding {
	f := sinks.Finding{Name: "free space"}
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		f.Unknown, f.Detail = true, "cannot tell: "+err.Error()
		return f
	}
	free := int64(st.Bavail) * int64(st.Bsize)
	f.OK, f.Detail = free >= lowSpace, fmt.Sprintf("%.1f GiB are free", float64(free)/(1<<30))
	if !f.OK {
		f.Detail += ": look how large the backups are and how many are kept"
	}
	return f
}

func (s *Sink) examineKind() sinks.Finding {
	f := sinks.Finding{Name: "file system"}
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		f.Unknown, f.Detail = true, "cannot tell: "+err.Error()
		return f
	}
	if what := unusual(int64(st.Type)); what != "" {
		f.Detail = what
		return f
	}
	f.OK, f.Detail = true, "local"
	return f
}
