// Package guard looks at a cluster before and after a command that is dangerous to it, such as an upgrade, says what is wrong with it and
// what the command has changed, and runs the command between.
//
// It only reads the cluster, and asks no member for a hash. It takes no backup, which is its caller's; it never ends the command by
// itself, because half an upgrade is worse than a slow one; and it mends nothing: what was broken is told.
package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// A State is what a cluster looked like at a moment.
type State struct {
	Time      time.Time     `json:"time"`
	ClusterID catalog.HexID `json:"cluster_id"` // 0 if nobody answered
	Quorum    bool          `json:"quorum"`
	Revision  int64         `json:"revision"`   // read with quorum; 0 without
	RaftIndex uint64        `json:"raft_index"` // the highest that any member has committed
	RaftTerm  uint64        `json:"raft_term"`  // the highest that any member has seen: it grows with each election
	Members   []Member      `json:"members"`    // by name
	Problems  []Problem     `json:"problems"`   // why it is not healthy; none if it is

	hints []string // advice on the problems
}

// A Member is a member of the cluster, whether it answered or not.
type Member struct {
	Name     string        `json:"name"` // "" if it was never started
	ID       catalog.HexID `json:"id"`
	Version  string        `json:"version"` // of its etcd; "" if it did not answer
	Leader   bool          `json:"leader"`
	Learner  bool          `json:"learner"`
	Answered bool          `json:"answered"`
}

// A Problem is one thing that is wrong with the cluster. Two states have the same problem where kind and subject are equal: the words
// may tell of a moment.
type Problem struct {
	Kind    ProblemKind `json:"kind"`
	Subject string      `json:"subject"` // name of a member or URL of an endpoint; "" where it is of the cluster
	Detail  string      `json:"detail"`  // a sentence that names the subject
}

// A ProblemKind is a way in which a cluster is not healthy.
type ProblemKind string

// The kinds of problems.
const (
	Down      ProblemKind = "down"       // does not answer
	Unserving ProblemKind = "unserving"  // answers, and serves no linearizable read
	Lagging   ProblemKind = "lagging"    // is behind the others
	Alarmed   ProblemKind = "alarm"      // has raised an alarm, or the cluster has
	NoQuorum  ProblemKind = "no-quorum"  // nobody serves a linearizable read
	Different ProblemKind = "different"  // was found to differ from the others by the last cross-check
	NotAsked  ProblemKind = "not-asked"  // is a member and none of the endpoints
	NotJoined ProblemKind = "not-joined" // was added and never started
	Mixed     ProblemKind = "mixed"      // endpoints of different clusters
)

// Err is an *UnhealthyError, or nil for a healthy cluster.
func (s State) Err() error {
	if len(s.Problems) == 0 {
		return nil
	}
	return &UnhealthyError{s}
}

// An UnhealthyError is a cluster that is not healthy. It matches snapshot.ErrUnavailable.
type UnhealthyError struct{ State State }

func (e *UnhealthyError) Error() string {
	return "the cluster is not healthy: " + strings.Join(details(e.State.Problems), "; ")
}

func (e *UnhealthyError) Unwrap() error { return snapshot.ErrUnavailable }

// Hint is what the problems themselves advise.
func (e *UnhealthyError) Hint() string { return strings.Join(e.State.hints, "; ") }

func details(problems []Problem) []string {
	all := make([]string, len(problems))
	for i, p := range problems {
		all[i] = p.Detail
	}
	return all
}

// Look asks every endpoint. check is the newest cross-check of the members, nil if there was none. A cluster of which nobody answers is a
// state as well; errors are wrong settings (snapshot.ErrConfig) and the end of ctx.
func Look(ctx context.Context, etcd snapshot.Config, check *catalog.Report, now time.Time) (State, error) {
	c, err := snapshot.Connect(ctx, etcd)
	var found *snapshot.Survey
	if err == nil {
		defer c.Close()
		found, err = c.Survey(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return State{}, context.Cause(ctx)
	case found != nil: // also where nobody can give a snapshot
		return read(found, check, now.UTC()), nil
	case errors.Is(err, snapshot.ErrUnavailable):
		return State{Time: now.UTC(), Problems: []Problem{{Down, "", err.Error()}}, hints: hintsOf(err)}, nil
	}
	return State{}, err
}

// hintsOf is the advice of every endpoint that failed.
func hintsOf(err error) (hints []string) {
	if e := (*snapshot.EndpointError)(nil); errors.As(err, &e) && e.Hint != "" {
		hints = append(hints, e.Hint)
	}
	return hints
}

// read makes a state of what a survey found.
func read(s *snapshot.Survey, check *catalog.Report, now time.Time) State {
	r := reading{Survey: s, State: State{Time: now, ClusterID: catalog.HexID(s.ClusterID), Quorum: s.Quorum, Revision: s.R0}}
	r.members()
	r.unanswered()
	r.unserving()
	for _, a := range s.Alarms {
		subject, of := r.name(a.MemberID), ""
		if a.MemberID != 0 {
			of = " of " + subject
		} else {
			subject = ""
		}
		r.tell(Alarmed, subject, "the alarm %s%s is raised", a.Kind, of)
		if a.Kind == "NOSPACE" {
			r.hints = append(r.hints, "make room with `etcdctl compact` and `etcdctl defrag`, or raise --quota-backend-bytes; then `etcdctl alarm disarm`")
		}
	}
	if check != nil {
		r.different(check)
	}
	if !s.Quorum {
		r.tell(NoQuorum, "", "the cluster has no quorum")
	}
	return r.State
}

// reading is a survey while it is made a state of.
type reading struct {
	*snapshot.Survey
	State
}

func (r *reading) tell(kind ProblemKind, subject, format string, args ...any) {
	r.Problems = append(r.Problems, Problem{kind, subject, fmt.Sprintf(format, args...)})
}

// members lists who is in the cluster, with what is known of those that answered; where nobody gave the list, those that answered.
func (r *reading) members() {
	listed := slices.Clone(r.Survey.Members)
	for _, ep := range r.Answered {
		r.RaftIndex, r.RaftTerm = max(r.RaftIndex, ep.Committed), max(r.RaftTerm, ep.Term)
		if !slices.ContainsFunc(listed, func(m snapshot.Member) bool { return m.ID == ep.MemberID }) {
			listed = append(listed, snapshot.Member{Name: ep.Name, ID: ep.MemberID, Learner: ep.Learner})
		}
	}
	for _, m := range listed {
		found := Member{Name: m.Name, ID: catalog.HexID(m.ID), Learner: m.Learner}
		for _, ep := range r.Answered {
			if ep.MemberID == m.ID {
				found.Version, found.Leader, found.Answered = ep.Version, ep.Leader, true
			}
		}
		r.State.Members = append(r.State.Members, found)
	}
	slices.SortStableFunc(r.State.Members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
}

// name is what a person calls a member.
func (r *reading) name(id uint64) string {
	for _, m := range r.State.Members {
		if m.ID == catalog.HexID(id) && m.Name != "" {
			return m.Name
		}
	}
	return "member " + catalog.HexID(id).String()
}

// unanswered tells of the endpoints that did not answer, and of the members that nobody asked. An endpoint may go by another name than the
// member says of itself, so one that did not answer stands for any member that was not heard.
func (r *reading) unanswered() {
	unheard := slices.Clone(r.Survey.Members)
	unheard = slices.DeleteFunc(unheard, func(m snapshot.Member) bool {
		return slices.ContainsFunc(r.Answered, func(ep snapshot.Endpoint) bool { return ep.MemberID == m.ID })
	})
	unknown := 0
	for _, x := range r.Excluded {
		if x.Err == nil {
			continue
		}
		i := slices.IndexFunc(unheard, func(m snapshot.Member) bool { return slices.Contains(m.ClientURLs, x.Endpoint) })
		if i < 0 {
			unknown++
			r.tell(Down, x.Endpoint, "%s does not answer: %s", x.Endpoint, x.Reason)
		} else {
			r.tell(Down, unheard[i].Name, "%s at %s does not answer: %s", unheard[i].Name, x.Endpoint, x.Reason)
			unheard = slices.Delete(unheard, i, i+1)
		}
		r.hints = append(r.hints, hintsOf(x.Err)...)
	}
	for _, m := range unheard {
		switch {
		case m.Name == "" && len(m.ClientURLs) == 0:
			r.tell(NotJoined, catalog.HexID(m.ID).String(), "member %s at %s was added and never started", catalog.HexID(m.ID), strings.Join(m.PeerURLs, ","))
		case unknown > 0:
			unknown-- // it is the one that does not answer, as far as anybody knows
		default:
			r.tell(NotAsked, m.Name, "%s is a member at %s and not among the endpoints, so nobody knows how it is", m.Name, strings.Join(m.ClientURLs, ","))
		}
	}
	if slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.Kind == NotAsked }) {
		r.hints = append(r.hints, "name every member: --endpoints "+strings.Join(r.clientURLs(), ","))
	}
	slices.Sort(r.hints)
	r.hints = slices.Compact(r.hints)
}

// clientURLs is where the members say that clients reach them, one each.
func (r *reading) clientURLs() (urls []string) {
	byName := func(a, b snapshot.Member) int { return strings.Compare(a.Name, b.Name) }
	for _, m := range slices.SortedFunc(slices.Values(r.Survey.Members), byName) {
		if len(m.ClientURLs) > 0 {
			urls = append(urls, m.ClientURLs[0])
		}
	}
	return urls
}

// unserving tells of members that answer and are not as they should be.
func (r *reading) unserving() {
	told := map[uint64]bool{}
	for _, ep := range r.Answered {
		if told[ep.MemberID] { // by two names
			continue
		}
		told[ep.MemberID] = true
		name := r.name(ep.MemberID)
		switch {
		case ep.Learner: // it serves nothing yet, and votes on nothing
		case !ep.HasLeader:
			r.tell(Unserving, name, "%s at %s knows no leader", name, ep.URL)
		case ep.Unread != nil && r.Survey.Quorum:
			r.tell(Unserving, name, "%s serves no linearizable read: %v", name, ep.Unread)
		default:
			// One that answers, votes and has raised no alarm is left out for one reason only.
			i := slices.IndexFunc(r.Excluded, func(x snapshot.Exclusion) bool { return x.Endpoint == ep.URL })
			if i >= 0 && !slices.Contains(r.Alarms, snapshot.Alarm{Kind: "CORRUPT", MemberID: ep.MemberID}) {
				r.tell(Lagging, name, "%s at %s %s", name, ep.URL, r.Excluded[i].Reason)
			}
		}
	}
}

// different tells of members that the last cross-check found different and that are still there.
func (r *reading) different(check *catalog.Report) {
	if !check.OK && !slices.ContainsFunc(check.Members, func(m catalog.MemberResult) bool { return !m.OK }) {
		r.tell(Different, "", "the cross-check of %s: %s", check.Time.Format(time.RFC3339), check.Detail)
		r.hints = append(r.hints, "find out which member is right: lifeboat verify --cross-check")
	}
	for _, m := range check.Members {
		there := slices.ContainsFunc(r.State.Members, func(o Member) bool { return o.ID == m.MemberID })
		if !m.OK && there {
			name := r.name(uint64(m.MemberID))
			r.tell(Different, name, "the cross-check of %s found that %s %s", check.Time.Format(time.RFC3339), name, m.Detail)
			r.hints = append(r.hints, "replace "+name+"; if it was mended since: lifeboat verify --cross-check")
		}
	}
}
