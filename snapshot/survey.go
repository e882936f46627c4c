package snapshot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

const (
	// catchUp is how long a member may stay below R0 before it counts as lagging, and askAgain how often it is asked meanwhile.
	catchUp  = 2 * time.Second
	askAgain = 100 * time.Millisecond
)

// A Survey is what a cluster looked like before a snapshot.
type Survey struct {
	ClusterID uint64
	Quorum    bool
	// R0 is a linearizable revision: a snapshot below it lacks writes that were acknowledged before the survey. 0 without quorum.
	R0         int64
	Unread     []error  // why each endpoint that answers could not give R0; empty with quorum
	Members    []Member // of the cluster, endpoints or not; by the cluster's order
	Alarms     []Alarm
	Answered   []Endpoint  // every member that told its status, in the order of the endpoints
	Candidates []Endpoint  // to take a snapshot from, the best first
	Excluded   []Exclusion // and why, the rest
}

// A Member is one member of the cluster as etcd lists it.
type Member struct {
	Name       string   `json:"name"`
	ID         uint64   `json:"id"`
	PeerURLs   []string `json:"peer_urls"`
	ClientURLs []string `json:"client_urls"`
	Learner    bool     `json:"learner,omitempty"`
	Version    string   `json:"version,omitempty"` // of its etcd; "" if it was not asked or did not answer
}

// An Alarm is raised by one member, or by the cluster where it cannot tell which (MemberID 0). Kind is NOSPACE or CORRUPT.
type Alarm struct {
	Kind     string `json:"kind"`
	MemberID uint64 `json:"member_id"`
}

func (a Alarm) String() string {
	if a.MemberID == 0 {
		return a.Kind
	}
	return fmt.Sprintf("%s of member %x", a.Kind, a.MemberID)
}

// An Endpoint is one member as it answered. Sizes are in bytes; Quota and StorageVersion are known from etcd 3.6 on.
type Endpoint struct {
	URL            string
	MemberID       uint64
	Name           string
	Version        string
	StorageVersion string
	DBSize         int64
	DBSizeInUse    int64
	Quota          int64
	Revision       int64
	Term           uint64
	Committed      uint64 // raft index
	Applied        uint64 // raft index
	Leader         bool
	HasLeader      bool
	Learner        bool
	Unread         error // why it gave no linearizable revision itself; nil if it did
}

// An Exclusion is an endpoint no snapshot is taken from.
type Exclusion struct {
	Endpoint string
	Reason   string
	Err      error // *EndpointError if it did not answer
}

// answer is one endpoint's part of a survey.
type answer struct {
	link   *link
	status *pb.StatusResponse
	r0     int64
	read   error // of the linearizable read
	err    *EndpointError
}

// Survey asks all endpoints at the same time: first for a linearizable revision, then for their status. Without quorum it
// succeeds with Quorum false. If nobody can give a snapshot it returns an error matching ErrUnavailable, and the Survey
// as far as it came if anybody answered; endpoints of different clusters are ErrConfig.
func (c *Cluster) Survey(ctx context.Context) (*Survey, error) {
	answers := make([]*answer, len(c.links))
	var wg sync.WaitGroup
	for i, l := range c.links {
		answers[i] = &answer{link: l}
		wg.Go(func() { c.readRevision(ctx, answers[i]) })
	}
	wg.Wait()
	r0, _ := highest(answers)
	for _, a := range answers {
		wg.Go(func() { c.readStatus(ctx, a, r0) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := refused(answers); err != nil {
		return nil, err
	}
	s := &Survey{}
	if err := c.identify(ctx, s, answers); err != nil {
		return nil, err
	}
	s.R0, s.Quorum = highest(answers)
	for _, a := range answers {
		if a.read != nil && !s.Quorum {
			s.Unread = append(s.Unread, a.link.explain(a.read))
		}
	}
	for _, f := range c.failed {
		s.Excluded = append(s.Excluded, Exclusion{f.Endpoint, f.Err.Error(), f})
	}
	c.listMembers(ctx, s, answers)
	s.sort(answers)
	if len(s.Candidates) == 0 {
		return s, noCandidate(s)
	}
	return s, nil
}

// readRevision asks for a linearizable revision, by way of a key that cannot exist. A read that an election ended says nothing of the quorum,
// and is asked again.
func (c *Cluster) readRevision(ctx context.Context, a *answer) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ask := func() (*pb.RangeResponse, error) {
		return a.link.kv.Range(ctx, &pb.RangeRequest{Key: []byte{0}, CountOnly: true})
	}
	got, err := ask()
	for rpctypes.ErrorDesc(err) == rpctypes.ErrorDesc(rpctypes.ErrGRPCLeaderChanged) {
		select {
		case <-time.After(askAgain):
			got, err = ask()
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		a.read = err
		if ctx.Err() != nil {
			a.read = fmt.Errorf("no answer to a linearizable read within %s", c.timeout)
		}
		return
	}
	a.r0 = got.GetHeader().GetRevision()
}

// highest is R0: the highest of the linearizable revisions read, which every one of them is entitled to be.
func highest(answers []*answer) (r0 int64, quorum bool) {
	for _, a := range answers {
		quorum = quorum || a.read == nil
		r0 = max(r0, a.r0)
	}
	return r0, quorum
}

// refused tells apart a cluster without quorum from one that does not let us read. Etcd looks at permissions only once the read
// is linearizable, so a refusal proves quorum, and such a user cannot take a snapshot either.
func refused(answers []*answer) error {
	var failed []*EndpointError
	for _, a := range answers {
		switch rpctypes.ErrorDesc(a.read) {
		case rpctypes.ErrorDesc(rpctypes.ErrGRPCPermissionDenied), rpctypes.ErrorDesc(rpctypes.ErrGRPCUserEmpty),
			rpctypes.ErrorDesc(rpctypes.ErrGRPCInvalidAuthToken):
			failed = append(failed, a.link.explain(a.read))
		}
	}
	if _, quorum := highest(answers); quorum || len(failed) == 0 {
		return nil
	}
	return &noEndpoint{"etcd does not let us in", failed}
}

// readStatus asks a member for its status, again and again for a little while if it is still below r0.
func (c *Cluster) readStatus(ctx context.Context, a *answer, r0 int64) {
	deadline := time.Now().Add(catchUp)
	for {
		a.status, a.err = c.status(ctx, a.link)
		if a.err != nil || a.status.GetHeader().GetRevision() >= r0 || time.Now().After(deadline) {
			return
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return
		}
	}
}

func (c *Cluster) status(ctx context.Context, l *link) (*pb.StatusResponse, *EndpointError) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("no answer to a status request within %s", c.timeout))
	defer cancel()
	got, err := l.maintenance.Status(ctx, &pb.StatusRequest{})
	if err != nil {
		return nil, l.explain(withCause(ctx, err))
	}
	return got, nil
}

// listMembers asks for the member list, the leader's word if there is quorum, any member's own otherwise. A survey is worth
// having without it: names are then missing.
func (c *Cluster) listMembers(ctx context.Context, s *Survey, answers []*answer) {
	for _, a := range answers {
		if a.err != nil || s.Quorum && a.read != nil { // who is cut off would be waited for in vain
			continue
		}
		got, err := c.memberList(ctx, a.link, s.Quorum)
		if err != nil {
			continue
		}
		s.Members = membersOf(got, versionsOf(answers))
		return
	}
}

// versionsOf are the versions of those that told, by member.
func versionsOf(answers []*answer) map[uint64]string {
	all := map[uint64]string{}
	for _, a := range answers {
		if a.err == nil {
			all[a.status.GetHeader().GetMemberId()] = a.status.GetVersion()
		}
	}
	return all
}

func (c *Cluster) memberList(ctx context.Context, l *link, linearizable bool) (*pb.MemberListResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return l.cluster.MemberList(ctx, &pb.MemberListRequest{Linearizable: linearizable})
}

func noCandidate(s *Survey) error {
	failed := make([]*EndpointError, 0, len(s.Excluded))
	for _, x := range s.Excluded {
		var e *EndpointError
		if !errors.As(x.Err, &e) {
			e = &EndpointError{Endpoint: x.Endpoint, Kind: ErrUnavailable, Err: errors.New(x.Reason)}
		}
		failed = append(failed, e)
	}
	return &noEndpoint{"no etcd member can give a snapshot", failed}
}
