package snapshot

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// backlog is how many raft entries a member may have committed but not applied, or be behind the most advanced member, before
// a snapshot from it is pointless. It is the gap at which etcd itself begins to refuse requests.
const backlog = 5000

// sort makes candidates and exclusions of the answers.
//
// A member is left out if it did not answer, is a learner, raised a CORRUPT alarm, is the same member as an earlier
// endpoint, or lags: it stayed below R0 for catchUp, or its applied index is more than backlog behind. An alarm CORRUPT that
// names nobody leaves nobody out: nobody is known to be better, and a suspect backup is worth more than none.
//
// Of the rest those with a leader come first, then followers before the leader, which has the most to do, then the one that
// has applied more. Without quorum nobody is spared: whoever holds the highest revision comes first.
func (s *Survey) sort(answers []*answer) {
	s.Alarms = alarms(answers)
	var most uint64
	for _, a := range answers {
		if a.err == nil {
			most = max(most, a.status.GetRaftAppliedIndex())
		}
	}
	byMember := map[uint64]string{}
	for _, a := range answers {
		if a.err != nil {
			s.Excluded = append(s.Excluded, Exclusion{a.link.url, a.err.Err.Error(), a.err})
			continue
		}
		ep := s.endpoint(a)
		if !slices.ContainsFunc(s.Answered, func(other Endpoint) bool { return other.MemberID == ep.MemberID }) {
			s.Answered = append(s.Answered, ep)
		}
		if reason := s.unfit(ep, most, byMember[ep.MemberID]); reason != "" {
			s.Excluded = append(s.Excluded, Exclusion{ep.URL, reason, nil})
			continue
		}
		byMember[ep.MemberID] = ep.URL
		s.Candidates = append(s.Candidates, ep)
	}
	slices.SortStableFunc(s.Candidates, s.compare)
}

func (s *Survey) endpoint(a *answer) Endpoint {
	st := a.status
	ep := Endpoint{
		URL: a.link.url, MemberID: st.GetHeader().GetMemberId(), Version: st.GetVersion(), StorageVersion: st.GetStorageVersion(),
		DBSize: st.GetDbSize(), DBSizeInUse: st.GetDbSizeInUse(), Quota: st.GetDbSizeQuota(),
		Revision: st.GetHeader().GetRevision(), Term: st.GetRaftTerm(),
		Committed: st.GetRaftIndex(), Applied: st.GetRaftAppliedIndex(),
		HasLeader: st.GetLeader() != 0, Learner: st.GetIsLearner(),
	}
	if a.read != nil {
		ep.Unread = a.link.explain(a.read)
	}
	ep.Leader = ep.HasLeader && st.GetLeader() == ep.MemberID
	for _, m := range s.Members {
		if m.ID == ep.MemberID {
			ep.Name = m.Name
		}
	}
	return ep
}

// unfit tells why no snapshot should come from this endpoint, "" if nothing speaks against it.
func (s *Survey) unfit(ep Endpoint, most uint64, same string) string {
	switch {
	case same != "":
		return "the same member as " + same
	case ep.Learner:
		return "is a learner"
	case slices.Contains(s.Alarms, Alarm{"CORRUPT", ep.MemberID}):
		return "has raised the alarm CORRUPT"
	case ep.Revision < s.R0:
		return fmt.Sprintf("lags: at revision %d, the cluster is at %d", ep.Revision, s.R0)
	case s.Quorum && (ep.Committed > ep.Applied+backlog || most > ep.Applied+backlog):
		return fmt.Sprintf("lags: has applied index %d of %d", ep.Applied, max(ep.Committed, most))
	}
	return ""
}

func (s *Survey) compare(a, b Endpoint) int {
	if !s.Quorum {
		return cmp.Or(cmp.Compare(b.Revision, a.Revision), cmp.Compare(b.Applied, a.Applied))
	}
	last := func(bad bool) int {
		if bad {
			return 1
		}
		return 0
	}
	return cmp.Or(
		last(!a.HasLeader)-last(!b.HasLeader),
		last(a.Leader)-last(b.Leader),
		cmp.Compare(b.Applied, a.Applied),
	)
}

// alarms reads the alarms out of the status answers: the Alarm request itself goes through raft, and so would write.
// The text is that of a protobuf message, whose spacing changes from build to build.
func alarms(answers []*answer) []Alarm {
	form := regexp.MustCompile(`^(?:memberID:\s*(\d+)\s+)?alarm:\s*(\w+)\s*$`)
	var all []Alarm
	for _, a := range answers {
		if a.err != nil {
			continue
		}
		for _, text := range a.status.GetErrors() {
			m := form.FindStringSubmatch(text)
			if m == nil {
				continue
			}
			id, _ := strconv.ParseUint(m[1], 10, 64) // no digits: the cluster as a whole
			if found := (Alarm{m[2], id}); !slices.Contains(all, found) {
				all = append(all, found)
			}
		}
	}
	return all
}
