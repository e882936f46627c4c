package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/retention"
)

// clockTolerance is how far the host's and the bucket's clock may be apart before a person is told.
const clockTolerance = time.Minute

// statusJSON is `status -o json`, and what the page is printed from.
type statusJSON struct {
	Cluster    string           `json:"cluster"`
	Time       time.Time        `json:"time"`
	Attention  []string         `json:"attention"` // what needs a person, in sentences
	Stale      bool             `json:"stale"`     // with --max-age
	Head       *headJSON        `json:"head,omitempty"`
	Newest     *newestJSON      `json:"newest,omitempty"`
	Verified   *verifiedRef     `json:"verified,omitempty"`
	Recipients []recipientJSON  `json:"recipients"`
	Changed    *changedJSON     `json:"recipients_changed,omitempty"`
	Lineages   []lineageJSON    `json:"lineages"`
	Sinks      []sinkStatusJSON `json:"sinks"`
	Held       []heldJSON       `json:"held"`
	CrossCheck *crossCheckJSON  `json:"cross_check,omitempty"`
	ClockAhead float64          `json:"bucket_clock_ahead_seconds"`
	Gaps       []catalog.ID     `json:"gaps"`
	Hidden     []catalog.ID     `json:"hidden"`
	Problems   []problemJSON    `json:"problems"`
	Faults     []faultOfJSON    `json:"faults"`

	codes   []string          // of Attention, one for each
	stale   string            // why
	suspect catalog.ID        // newest of the suspect lineages that are newer than the accepted one
	lost    bool              // no sink has a whole copy of what latest means
	frozen  map[string]string // which lineage keeps which from being removed, by their first backups

	usable   catalog.Entry            // Newest, as it is in the catalog
	taken    time.Time                // from when its age counts
	doubtful map[catalog.Lineage]bool // those that suspect speaks of
}

// faultOfJSON is a copy of a backup that is not whole.
type faultOfJSON struct {
	ID   catalog.ID `json:"id"`
	Sink string     `json:"sink"`
	What string     `json:"what"`
}

type headJSON struct {
	ID         catalog.ID `json:"id"`
	Sequence   int64      `json:"sequence"`
	TextSHA256 string     `json:"text_sha256"`
	Token      string     `json:"token"` // for --expect
}

type newestJSON struct {
	ID         catalog.ID `json:"id"`
	Started    time.Time  `json:"started"`
	AgeSeconds float64    `json:"age_seconds"`
	Revision   int64      `json:"revision"`
	LiveKeys   int64      `json:"live_keys"`
	Signed     bool       `json:"signed"`
	SignedBy   []string   `json:"signed_by"`
	signedBy   string
}

type verifiedRef struct {
	ID         catalog.ID         `json:"id"`
	By         catalog.ReportKind `json:"by"`
	Time       time.Time          `json:"time"`
	AgeSeconds float64            `json:"age_seconds"` // of the report
	OpenedWith string             `json:"opened_with"`
}

type recipientJSON struct {
	Fingerprint string     `json:"fingerprint"`
	Proven      *time.Time `json:"proven,omitempty"` // when an identity of it last opened a backup
}

type changedJSON struct {
	Since  catalog.ID `json:"since"`
	Newest catalog.ID `json:"newest"`
	Before []string   `json:"before"`
	Now    []string   `json:"now"`
}

type lineageJSON struct {
	catalog.Lineage
	Accepted bool                `json:"accepted"`
	Backups  int                 `json:"backups"`
	Newest   catalog.ID          `json:"newest"`
	Doubts   []string            `json:"doubts"`
	Codes    []catalog.DoubtCode `json:"doubt_codes"`
}

type sinkStatusJSON struct {
	Sink    string       `json:"sink"`
	Backups int          `json:"backups"`
	Missing []catalog.ID `json:"missing"`
	Unread  bool         `json:"unread"` // it could not be read, so what it holds is unknown
}

type heldJSON struct {
	ID     catalog.ID `json:"id"`
	Reason string     `json:"reason"`
}

type crossCheckJSON struct {
	Time    time.Time              `json:"time"`
	OK      bool                   `json:"ok"`
	Detail  string                 `json:"detail"`
	Members []catalog.MemberResult `json:"members"`
}

// attention adds a sentence; code is by which doctor knows it.
func (s *statusJSON) attention(code, format string, args ...any) {
	s.Attention, s.codes = append(s.Attention, oneLine(fmt.Sprintf(format, args...))), append(s.codes, code)
}

func newStatusJSON(l catalog.Listing, veiled []catalog.Veiled, b *bucket, now time.Time) *statusJSON {
	list := newListingJSON(l, veiled)
	s := &statusJSON{
		Cluster: l.Cluster, Time: now.UTC(), Attention: []string{}, Gaps: list.Gaps, Hidden: list.Hidden, Problems: list.Problems,
		Recipients: []recipientJSON{}, Lineages: []lineageJSON{}, Sinks: []sinkStatusJSON{}, Held: []heldJSON{}, Faults: []faultOfJSON{},
	}
	if h, ok := l.Head(); ok {
		s.Head = &headJSON{h.ID, h.Sequence, h.TextSHA256, h.String()}
	}
	means, _, _ := l.Resolve("latest", now) // an error is one of Usable, too
	s.lost = means.Lost() != ""
	latest, err := l.Usable(now)
	if err == nil {
		s.newest(latest, now)
		s.passOver(means, latest)
	} else {
		s.attention("none", "there is no usable backup: %v", err)
	}
	s.lineages(l)
	s.faults(l)
	s.sinks(l, b, latest)
	s.proofs(l, latest, now)
	s.certificates(latest, now)
	s.recipients(l)
	for _, e := range l.Entries {
		if e.Held {
			s.Held = append(s.Held, heldJSON{e.ID, e.HeldFor})
		}
	}
	if c := l.CrossCheck; c != nil {
		s.CrossCheck = &crossCheckJSON{c.Time, c.OK, c.Detail, c.Members}
		if !c.OK {
			s.attention("member-differs", "a member differs from the others: %s; replace it as etcd's documentation says (remove it, add it with an empty data directory), and run `lifeboat verify --cross-check`", c.Detail)
		}
	}
	if n := len(s.Hidden); n > 0 {
		s.attention("hidden", "%s hidden behind delete markers, which Lifeboat never makes: restore takes one by its id; find out who deletes", plural(n, "backup"))
	}
	if n := len(s.Problems); n > 0 {
		s.attention("unread", "%d objects or sinks could not be read or trusted, first: %v", n, l.Problems[0])
	}
	return s
}

// newest tells of the backup that latest means. Its age is from its start: nothing written later is sure to be in it.
func (s *statusJSON) newest(e catalog.Entry, now time.Time) {
	taken := e.Started
	s.usable = e
	switch { // the bucket's clock is no host's
	case e.BucketTime.IsZero():
	case e.BucketTime.Before(e.Started):
		s.ClockAhead = e.BucketTime.Sub(e.Started).Seconds()
	case e.BucketTime.After(e.Finished):
		s.ClockAhead = e.BucketTime.Sub(e.Finished).Seconds()
	}
	if d := time.Duration(s.ClockAhead * float64(time.Second)).Round(time.Second); d.Abs() > clockTolerance {
		s.attention("clock", "the clock of the host that made %s and the bucket's are %s apart: ages and retention go by them", e.ID, d.Abs())
		if d < 0 {
			taken = e.BucketTime // the host was ahead, and would make the backup look younger than it is
		}
	}
	s.taken = taken
	s.Newest = &newestJSON{
		ID: e.ID, Started: e.Started, AgeSeconds: now.Sub(taken).Seconds(), Revision: e.Revision, LiveKeys: e.LiveKeys,
		Signed: e.Sig.Signed, SignedBy: append([]string{}, e.Sig.By...), signedBy: signedBy(e.Sig),
	}
	if now.Sub(taken) < -clockTolerance {
		s.attention("clock", "%s was made in the future, by this host's clock: one of the clocks is wrong", e.ID)
	}
	if !e.Quorum {
		s.attention("without-quorum", "%s was taken without quorum: acknowledged writes may be missing from it", e.ID)
	}
}

// judgeAge holds the newest backup against --max-age. One of the future says nothing about how old what it holds is.
func (s *statusJSON) judgeAge(limit time.Duration) {
	switch n := s.Newest; {
	case n == nil:
		s.stale = "there is no usable backup"
	case n.AgeSeconds > limit.Seconds():
		s.stale = fmt.Sprintf("the newest usable backup, %s, is %s old; at most %s is allowed", n.ID, ageText(seconds(n.AgeSeconds)), limit)
	case n.AgeSeconds < -clockTolerance.Seconds():
		s.stale = fmt.Sprintf("the newest usable backup, %s, was made in the future by this host's clock, so its age is unknown", n.ID)
	default:
		return
	}
	s.Stale = true
	s.attention("stale", "stale: %s", s.stale)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// lineages tells of every history, and what to do about a newer one that is suspect.
func (s *statusJSON) lineages(l catalog.Listing) {
	accepted := -1
	for i, h := range l.Lineages() {
		s.Lineages = append(s.Lineages, lineageJSON{h.Lineage, h.Accepted, h.Backups, h.Newest, append([]string{}, catalog.Reasons(h.Doubts)...), append([]catalog.DoubtCode{}, h.Codes()...)})
		if h.Accepted {
			accepted = i
		}
	}
	s.frozen, s.doubtful = retention.FrozenBy(describeAll(l)), map[catalog.Lineage]bool{}
	for i, h := range s.Lineages {
		if i <= accepted && !s.freezes(h) {
			continue
		}
		s.suspect, s.doubtful[h.Lineage] = h.Newest, true
		s.attention("suspect", "SUSPECT: %d backups since %s do not continue the cluster's history: %s. `latest` passes them over, and retention removes nothing of the lineages before. "+
			"If the change was meant (a restore, a rebuilt cluster): lifeboat accept %s. If not, the cluster was wiped or is another one: find out before anything else", h.Backups, h.First, strings.Join(h.Doubts, "; "), h.Newest)
	}
}

// freezes reports whether retention removes nothing of another lineage because of this one.
func (s *statusJSON) freezes(h lineageJSON) bool {
	for _, by := range s.frozen {
		if by == string(h.First) {
			return true
		}
	}
	return false
}

// sinks counts what each sink holds and lacks.
func (s *statusJSON) sinks(l catalog.Listing, b *bucket, latest catalog.Entry) {
	for _, sink := range b.sinks {
		j := sinkStatusJSON{Sink: sink.Name, Missing: []catalog.ID{}}
		j.Unread = slices.ContainsFunc(l.Problems, func(p *catalog.Problem) bool { return p.Sink == sink.Name && p.Key == "" })
		for _, e := range l.Entries {
			switch {
			case slices.Contains(e.Sinks, sink.Name):
				j.Backups++
			case !j.Unread:
				j.Missing = append(j.Missing, e.ID)
			}
		}
		if !j.Unread && latest.ID != "" && !slices.Contains(latest.Sinks, sink.Name) {
			s.attention("missing", "the newest backup is missing in %s", sink.Name)
		}
		s.Sinks = append(s.Sinks, j)
	}
}

// proofs tells which backup was proven last, and of every key that opens the newest when one of it last opened any.
func (s *statusJSON) proofs(l catalog.Listing, latest catalog.Entry, now time.Time) {
	if e, _, err := l.Resolve("latest-verified", now); err == nil {
		r, _ := e.Proven()
		s.Verified = &verifiedRef{e.ID, r.Report, r.Time, now.Sub(r.Time).Seconds(), r.OpenedWith}
	} else if latest.ID != "" {
		s.attention("unproven", "no backup is proven: run `lifeboat rehearse`, or `lifeboat verify --deep`")
	}
	opened := make(map[string]time.Time)
	for _, e := range l.Entries {
		for _, r := range e.Reports {
			if r.OK && r.Time.After(opened[r.OpenedWith]) {
				opened[r.OpenedWith] = r.Time
			}
		}
	}
	for _, f := range latest.Manifest.Sealed.Fingerprints {
		r := recipientJSON{Fingerprint: f}
		if at, ok := opened[f]; ok {
			r.Proven = &at
		}
		s.Recipients = append(s.Recipients, r)
	}
}

func (s *statusJSON) recipients(l catalog.Listing) {
	c, changed := l.RecipientsChange()
	if !changed {
		return
	}
	s.Changed = &changedJSON{c.Since, c.Newest, append([]string{}, c.Before...), append([]string{}, c.Now...)}
	s.attention("recipients-changed", "the recipients changed with %s: %s. If that was meant: lifeboat accept %s. If not, somebody may read every backup since", c.Since, recipientsText(c.Before, c.Now), c.Newest)
}
