package backup

import (
	"errors"
	"fmt"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// A NoQuorumError says that no quorum vouches for the members' state, and AllowNoQuorum was not given. It is an unhealthy etcd, and
// matches snapshot.ErrUnavailable.
type NoQuorumError struct{ Causes []error }

func (e *NoQuorumError) Error() string {
	text := "the cluster has no quorum, so no member can prove that its data is current"
	for _, c := range e.Causes {
		text += "; " + c.Error()
	}
	return text
}

func (e *NoQuorumError) Unwrap() error { return snapshot.ErrUnavailable }

// Hint tells what can be done with what is left.
func (e *NoQuorumError) Hint() string {
	return "bring the other members back first; to save what one of these has, although it may lack acknowledged writes, give --allow-no-quorum"
}

// A NoSnapshotError says that every member which looked able to give a snapshot failed to, and how each of them.
type NoSnapshotError struct{ Failed []error }

func (e *NoSnapshotError) Error() string {
	return "no member delivered a snapshot: " + errors.Join(e.Failed...).Error()
}

func (e *NoSnapshotError) Unwrap() []error { return e.Failed }

// Hint tells what is safe, and where to look.
func (e *NoSnapshotError) Hint() string {
	return "no backup was committed, and the backups there are were not touched; name every member with --endpoints, by its own address and not that of a load balancer, " +
		"and see with `etcdctl endpoint status` whether one lags"
}

// An UncertainError is a run that ended after it had begun to commit: the backup may be there, whole, or not at all.
type UncertainError struct {
	ID  catalog.ID
	Err error
}

func (e *UncertainError) Error() string {
	return fmt.Sprintf("backup %s may be committed or not: %v", e.ID, e.Err)
}

func (e *UncertainError) Unwrap() error { return e.Err }

// Hint tells how to find out.
func (e *UncertainError) Hint() string {
	return fmt.Sprintf("`lifeboat list` shows it if it is there, and then it is whole: `lifeboat verify %s`", e.ID)
}
