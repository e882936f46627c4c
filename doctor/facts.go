package doctor

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Facts are all that could be seen. What is nil was not looked for.
type Facts struct {
	Now         time.Time
	Etcd        *Etcd
	Backups     *Backups
	Directories []Directory
	Members     []Member // of the cluster, by the best source there is
	Unseen      []Unseen // what was looked for and could not be seen
}

// Unseen is something that could not be looked at.
type Unseen struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
	Advice string `json:"advice"`
}

// Etcd is what the endpoints told.
type Etcd struct {
	ClusterID    uint64
	Quorum       bool  // a linearizable read succeeded
	Revision     int64 // the highest that any member told
	Known        []snapshot.Member
	Answered     []snapshot.Endpoint
	Failed       []*snapshot.EndpointError
	Alarms       []snapshot.Alarm
	Certificates []snapshot.Certificate
	Clocks       map[string]time.Duration // by endpoint: how far ahead of ours
	Views        map[string][]snapshot.Member
	Err          error // why nothing can be said although somebody answered
}

// Backups are what the sinks hold, and what would be restored from them.
type Backups struct {
	Listing  catalog.Listing
	Newest   *catalog.Entry // that would be restored; nil if none can be
	MaxAge   time.Duration  // that the newest should have at most
	Trust    catalog.Trust
	Findings []Finding // what is known of them beside their age
	Plan     *restore.Plan
	NoPlan   error // why there is no plan
}

// A State is how a member was seen.
type State string

// The states.
const (
	Up        State = "up"
	Down      State = "down"      // nothing answers where it should be
	Denied    State = "denied"    // something is there that does not serve us
	Unstarted State = "unstarted" // it was added to the cluster, and never ran
	NotAsked  State = "not asked" // it is not known where, or nothing here may ask there
)

// A Member is one of the cluster's.
type Member struct {
	snapshot.Member
	State  State
	Reason string             // why it is not up
	Status *snapshot.Endpoint // what it told, if it is up
}

// label names a member as a person knows it.
func (m Member) label() string {
	if m.Name == "" {
		return catalog.HexID(m.ID).String()
	}
	return m.Name
}

// settleMembers finds out who belongs to the cluster: those who run know best, then a data directory, then a backup.
func (f *Facts) settleMembers() {
	var known []snapshot.Member
	switch {
	case f.Etcd != nil && len(f.Etcd.Known) > 0:
		known = f.Etcd.Known
	case f.fullest() != nil:
		for _, m := range f.fullest().Members {
			known = append(known, snapshot.Member{Name: m.Name, ID: m.ID, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Learner: m.Learner})
		}
	case f.Backups != nil && f.Backups.Newest != nil:
		for _, m := range f.Backups.Newest.Source.Members {
			known = append(known, snapshot.Member{Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Learner: m.Learner})
		}
	}
	f.Members = nil
	for _, m := range known {
		f.Members = append(f.Members, f.seen(m))
	}
	slices.SortStableFunc(f.Members, func(a, b Member) int { return cmp.Compare(a.label(), b.label()) })
	if f.Etcd == nil || len(known) > 0 {
		return
	}
	// Nobody tells who the others are: at least those who answered are members.
	for _, e := range f.Etcd.Answered {
		f.Members = append(f.Members, Member{
			Member: snapshot.Member{Name: e.Name, ID: e.MemberID, ClientURLs: []string{e.URL}, Learner: e.Learner}, State: Up, Status: &e,
		})
	}
}

// fullest is the directory that knows best who belongs to the cluster: the one that is furthest on.
func (f *Facts) fullest() (best *Directory) {
	for i := range f.Directories {
		if d := &f.Directories[i]; len(d.Members) > 0 && (best == nil || d.Revision > best.Revision) {
			best = d
		}
	}
	return best
}

// foreign tells whether a cluster is not the one that answers. Revisions of the two say nothing about each other.
func (f *Facts) foreign(cluster uint64) bool {
	return f.Etcd != nil && f.Etcd.ClusterID != 0 && cluster != 0 && cluster != f.Etcd.ClusterID
}

// seen tells how one member was seen.
func (f *Facts) seen(m snapshot.Member) Member {
	all := Member{Member: m, State: NotAsked, Reason: "it is not known where it serves clients"}
	if f.Etcd == nil {
		all.Reason = "no endpoint was given"
		return all
	}
	for _, e := range f.Etcd.Answered { // best at its own address: at another one it may be somebody else who answers next
		if own := slices.Contains(m.ClientURLs, e.URL); m.ID != 0 && e.MemberID == m.ID && (all.Status == nil || own) {
			all = Member{Member: m, State: Up, Status: &e}
		}
	}
	if all.State == Up {
		return all
	}
	if m.Name == "" {
		return Member{Member: m, State: Unstarted, Reason: "it was added to the cluster, and has never been started"}
	}
	if len(m.ClientURLs) > 0 {
		all.Reason = "nobody was asked at " + m.ClientURLs[0]
	}
	for _, failed := range f.Etcd.Failed {
		if !slices.Contains(m.ClientURLs, failed.Endpoint) {
			continue
		}
		all.State, all.Reason = Down, failed.Err.Error()
		if !failed.Absent {
			all.State, all.Reason = Denied, strings.TrimSuffix(failed.Err.Error()+"; "+failed.Hint, "; ")
			return all
		}
	}
	return all
}

// strangers are endpoints that failed and belong to no known member: an address in between, or a wrong one.
func (f *Facts) strangers() []*snapshot.EndpointError {
	if f.Etcd == nil {
		return nil
	}
	var all []*snapshot.EndpointError
	for _, failed := range f.Etcd.Failed {
		if !slices.ContainsFunc(f.Members, func(m Member) bool { return slices.Contains(m.ClientURLs, failed.Endpoint) }) {
			all = append(all, failed)
		}
	}
	return all
}

// newest is the backup that would be restored, nil if there is none.
func (f *Facts) newest() *catalog.Entry {
	if f.Backups == nil {
		return nil
	}
	return f.Backups.Newest
}

// head is the highest revision that the cluster of the newest backup is known to have reached; 0 if nobody knows.
func (f *Facts) head() int64 {
	b := f.Backups
	if b == nil || b.Newest == nil {
		return 0
	}
	head := int64(0)
	of := uint64(b.Newest.Lineage.EtcdClusterID)
	if f.Etcd != nil && f.Etcd.ClusterID == of {
		head = f.Etcd.Revision
	}
	for _, d := range f.Directories {
		if d.ClusterID == of {
			head = max(head, d.Revision)
		}
	}
	for _, e := range b.Listing.Entries {
		if e.Lineage == b.Newest.Lineage && e.Revision > b.Newest.Revision {
			head = max(head, e.Revision)
		}
	}
	return head
}

// differing are the members that the last comparison of the cluster's members found different from the others.
func (f *Facts) differing() []uint64 {
	if f.Backups == nil || f.Backups.Listing.CrossCheck == nil {
		return nil
	}
	var all []uint64
	for _, m := range f.Backups.Listing.CrossCheck.Members {
		if !m.OK {
			all = append(all, uint64(m.MemberID))
		}
	}
	return all
}
