package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/restore"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const (
	// etcdLimit and sinksLimit are how long is looked at most, should something answer now and then only. Where nothing answers,
	// dialling gives up after 10 s.
	etcdLimit        = 90 * time.Second
	sinksLimit       = 2 * time.Minute
	directoriesLimit = 10 * time.Minute // all of a database is read

	// An election takes a moment: before enough members are said not to agree they are asked again.
	surveys     = 3
	betweenThem = 2 * time.Second

	askedAgain = 2 // members that were not among those asked
)

// Places are where to look. Each may be missing.
type Places struct {
	Etcd    *snapshot.Config
	Backups func(ctx context.Context) (*Backups, error)
	// Directories looks into data directories that are at hand, and tells which it could not look into.
	Directories func(ctx context.Context) ([]Directory, []Unseen)
	Advise      func(error) string // what a person can do about an error of Backups; nil if nobody knows
	NewDir      string             // under which a restore would make data directories
}

// Look gathers what can be seen, all sources at the same time. What cannot be is among the facts. The error is that of ctx, or one of
// settings that cannot work, which matches snapshot.ErrConfig.
func Look(ctx context.Context, p Places, now time.Time) (Facts, error) {
	f := Facts{Now: now}
	var (
		wg     sync.WaitGroup
		unread error
		shut   []Unseen
		config error
	)
	if p.Etcd != nil {
		wg.Go(func() {
			limited, cancel := context.WithTimeoutCause(ctx, etcdLimit, fmt.Errorf("etcd did not answer completely within %s", etcdLimit))
			defer cancel()
			f.Etcd, config = lookAtEtcd(limited, *p.Etcd)
		})
	}
	if p.Backups != nil {
		wg.Go(func() {
			limited, cancel := context.WithTimeoutCause(ctx, sinksLimit, fmt.Errorf("the sinks were not read within %s", sinksLimit))
			defer cancel()
			f.Backups, unread = p.Backups(limited)
		})
	}
	if p.Directories != nil {
		wg.Go(func() {
			limited, cancel := context.WithTimeoutCause(ctx, directoriesLimit, fmt.Errorf("the data directories were not read within %s", directoriesLimit))
			defer cancel()
			f.Directories, shut = p.Directories(limited)
		})
	}
	wg.Wait()
	f.Unseen = shut
	if err := ctx.Err(); err != nil {
		return f, context.Cause(ctx)
	}
	if config != nil {
		return f, config
	}
	if unread != nil {
		f.Backups = nil
		hidden := Unseen{What: "the backups", Reason: unread.Error()}
		if p.Advise != nil {
			hidden.Advice = p.Advise(unread)
		}
		f.Unseen = append(f.Unseen, hidden)
	}
	f.settleMembers()
	for _, e := range f.strangers() {
		f.Unseen = append(f.Unseen, Unseen{What: "endpoint " + e.Endpoint, Reason: e.Err.Error(), Advice: e.Hint})
	}
	f.planRestore(p.NewDir)
	return f, nil
}

// lookAtEtcd asks the endpoints and the members that they know of and that were not among them. It is another member each time that answers
// behind a load balancer, so that one which had answered may then be missing, and is asked as well.
func lookAtEtcd(ctx context.Context, cfg snapshot.Config) (*Etcd, error) {
	e, err := ask(ctx, cfg)
	if err != nil || e.Err != nil {
		return e, err
	}
	for range askedAgain {
		more := e.unasked(cfg.Endpoints)
		if len(more) == 0 {
			break
		}
		cfg.Endpoints = append(slices.Clone(cfg.Endpoints), more...)
		all, err := ask(ctx, cfg)
		if err != nil || all.Err != nil || len(all.Answered) == 0 {
			break
		}
		e = all
	}
	return e, nil
}

// ask connects to the endpoints and asks each all there is to ask.
func ask(ctx context.Context, cfg snapshot.Config) (*Etcd, error) {
	e := &Etcd{}
	c, err := snapshot.Connect(ctx, cfg)
	if err != nil {
		return e.failed(err)
	}
	defer c.Close()
	e.Certificates = c.Certificates()
	var s *snapshot.Survey
	for range surveys {
		s, err = c.Survey(ctx)
		if s == nil || s.Quorum || !enough(s) {
			break
		}
		select {
		case <-time.After(betweenThem):
		case <-ctx.Done():
		}
	}
	if s == nil {
		return e.failed(err)
	}
	e.ClusterID, e.Quorum, e.Known, e.Answered, e.Alarms = s.ClusterID, s.Quorum, s.Members, s.Answered, s.Alarms
	e.Revision = s.R0
	for _, a := range s.Answered {
		e.Revision = max(e.Revision, a.Revision)
	}
	for _, x := range s.Excluded {
		var failed *snapshot.EndpointError
		if errors.As(x.Err, &failed) {
			e.Failed = append(e.Failed, failed)
		}
	}
	e.Clocks, e.Views = c.Clocks(ctx), c.Views(ctx)
	return e, nil
}

// failed sorts out why nobody answered. Only settings that cannot work are an error.
func (e *Etcd) failed(err error) (*Etcd, error) {
	e.Failed = snapshot.Failures(err)
	switch {
	case errors.Is(err, snapshot.ErrConfig):
		return nil, err
	case len(e.Failed) == 0:
		e.Err = err
	}
	return e, nil
}

// enough tells whether as many voters answered as a quorum takes.
func enough(s *snapshot.Survey) bool {
	voters, up := 0, 0
	for _, m := range s.Members {
		if m.Learner {
			continue
		}
		voters++
		if slices.ContainsFunc(s.Answered, func(e snapshot.Endpoint) bool { return e.MemberID == m.ID }) {
			up++
		}
	}
	return voters > 0 && up >= quorum(voters)
}

func quorum(voters int) int { return voters/2 + 1 }

// unasked are the client addresses of members that did not answer at any endpoint. What speaks another scheme than the endpoints is
// left out: a password would go there.
func (e *Etcd) unasked(asked []string) []string {
	scheme := func(address string) string {
		if u, err := url.Parse(address); err == nil {
			return u.Scheme
		}
		return ""
	}
	var schemes, all []string
	for _, a := range e.Answered {
		schemes = append(schemes, scheme(a.URL))
	}
	for _, m := range e.Known {
		if slices.ContainsFunc(e.Answered, func(a snapshot.Endpoint) bool { return a.MemberID == m.ID }) {
			continue
		}
		for _, u := range m.ClientURLs {
			tried := slices.Contains(asked, u) || slices.ContainsFunc(e.Failed, func(f *snapshot.EndpointError) bool { return f.Endpoint == u })
			if !tried && slices.Contains(schemes, scheme(u)) {
				all = append(all, u)
			}
		}
	}
	return all
}

// planRestore finds out what a restore of the newest backup would need and make. The members are those of the cluster as it is, where
// they are known.
func (f *Facts) planRestore(newDir string) {
	b := f.Backups
	if b == nil || b.Newest == nil {
		return
	}
	plan := &restore.Plan{Source: restore.FromBackup(*b.Newest, string(b.Newest.ID)), Out: newDir, Trust: b.Trust, Head: f.head()}
	if f.Etcd != nil && uint64(b.Newest.Lineage.EtcdClusterID) == f.Etcd.ClusterID {
		plan.Members = f.voters()
	}
	if err := plan.Resolve(); err != nil {
		b.NoPlan = err
		return
	}
	b.Plan = plan
}

// voters are the voting members as a restore makes them; none if one of them was never started, so that its name is not known, or has a
// name that a restore cannot use.
func (f *Facts) voters() []restore.Member {
	var all []restore.Member
	for _, m := range f.Members {
		switch {
		case m.Learner:
		case len(m.PeerURLs) == 0 || !f.usable(m):
			return nil
		default:
			all = append(all, restore.Member{Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs})
		}
	}
	return all
}

// hex spells an id of etcd as etcdctl does.
func hex(id uint64) string { return catalog.HexID(id).String() }
