// Package doctor decides what to do about an etcd cluster as somebody would who has seen many of them at three in the morning: leave it
// alone, start a member again, replace one, or restore, and then from what.
//
// Looking and deciding are apart: Look gathers facts, each source of which may be missing and none of which is waited for without end;
// Decide is a pure function of them. The cluster is only read, and nothing that is advised is ever done here. A restore is
// advised last: only where quorum is lost, after everything that loses less.
package doctor

import (
	"time"

	"github.com/lifeboat-dr/lifeboat/restore/runbook"
)

// A Verdict is what state the cluster is in.
type Verdict string

// The verdicts, the best first.
const (
	Whole      Verdict = "whole"       // every voting member serves
	MemberDown Verdict = "member-down" // quorum holds without some voting members
	Stuck      Verdict = "stuck"       // enough members run, and they do not agree
	QuorumLost Verdict = "quorum-lost" // some answer, too few to agree
	AllDown    Verdict = "all-down"    // none answers
	Unknown    Verdict = "unknown"     // nobody was asked, or something keeps us from seeing it
)

// A Severity is how soon a finding matters.
type Severity string

// The severities.
const (
	Critical Severity = "critical" // now
	Warning  Severity = "warning"  // soon
	Note     Severity = "note"     // good to know before it matters
)

// What a finding is about.
const (
	AboutEtcd    = "etcd"
	AboutBackups = "backups"
)

// A Finding is something that a person should know, whatever is decided.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	About    string   `json:"about"` // etcd or backups
	Text     string   `json:"text"`
	Advice   string   `json:"advice"`
	Commands []string `json:"commands"` // for a POSIX shell
}

// A Decision is the verdict and what follows from it.
type Decision struct {
	Verdict  Verdict
	Sentence string
	Options  []Option // what can be done, that which loses least first
	Findings []Finding
	Members  []Member // what the verdict rests on
	Voters   int
	Serving  int // of the voters
	Needed   int // for quorum
	Backup   *Backup
}

// An Option is one way out. Its steps are done in order, each completely before the next.
type Option struct {
	Code  string         `json:"code"` // start, replace, remove, look, survivor, directory, backup
	Title string         `json:"title"`
	Loses string         `json:"loses"`
	Steps []runbook.Step `json:"steps"`
}

// A Backup is the one that would be restored.
type Backup struct {
	ID       string
	Age      time.Duration // since it was begun
	Revision int64
	Behind   int64 // revisions the cluster is known to be ahead of it, at least; -1 if that is not known
}

// Healthy tells whether etcd needs nobody now.
func (d Decision) Healthy() bool {
	if d.Verdict != Whole {
		return false
	}
	for _, f := range d.Findings {
		if f.About == AboutEtcd && f.Severity == Critical {
			return false
		}
	}
	return true
}
