package restore

import (
	"fmt"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// unproven says what no check of a raw database can show: it is what a member happened to have on its disk.
func unproven(info *snapshot.Info) []string {
	return []string{
		"etcd put no digest at its end: its pages, keys and revisions fit together, but that they are what etcd wrote, bit by bit, cannot be proved",
		fmt.Sprintf("what stood only in the write-ahead log is not in it: it ends at raft index %d (term %d), revision %d, and writes that were acknowledged after that are lost",
			info.ConsistentIndex, info.Term, info.Revision),
		"one member alone wrote it: another survivor's may be newer (compare their raft index and revision with --dry-run), and that the members agreed cannot be seen in it",
	}
}
