package backup

import (
	"fmt"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// A DifferentError says that every member which could give a snapshot was found to differ from the others by the last cross-check. It is
// an unhealthy etcd, and matches snapshot.ErrUnavailable.
type DifferentError struct {
	Names []string
	Since time.Time
}

func (e *DifferentError) Error() string {
	return fmt.Sprintf("every member that can give a snapshot (%q) was found to differ from the others by the cross-check of %s", e.Names, e.Since.Format(time.RFC3339))
}

func (e *DifferentError) Unwrap() error { return snapshot.ErrUnavailable }

// Hint tells how the others are brought back into play.
func (e *DifferentError) Hint() string {
	return "bring the other members back, or name them with --endpoints; if these were mended since: lifeboat verify --cross-check, after which they are sources again"
}

// avoid takes no backup from a member that the newest cross-check found different, until a later one finds it equal. Where a key is trusted
// only signed reports count; where none is, whoever can write to a sink can keep us from backing up like this, as by filling it up.
func (r *runner) avoid() error {
	c := r.before.CrossCheck
	if c == nil {
		return nil
	}
	var names []string
	r.found.Candidates = slices.DeleteFunc(r.found.Candidates, func(e snapshot.Endpoint) bool {
		i := slices.IndexFunc(c.Members, func(m catalog.MemberResult) bool { return !m.OK && m.MemberID == catalog.HexID(e.MemberID) })
		if i < 0 {
			return false
		}
		reason := fmt.Sprintf("the cross-check of %s found that it %s", c.Time.Format(time.RFC3339), c.Members[i].Detail)
		r.Log.Warn("member is not a source", "endpoint", e.URL, "member", e.Name, "reason", reason)
		r.found.Excluded = append(r.found.Excluded, snapshot.Exclusion{Endpoint: e.URL, Reason: reason})
		names = append(names, e.Name)
		return true
	})
	if len(r.found.Candidates) == 0 {
		return &DifferentError{names, c.Time}
	}
	return nil
}
