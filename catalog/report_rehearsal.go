package catalog

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Rehearsal is what a rehearsal measured, so that what recovery takes can be followed over months from the reports alone.
type Rehearsal struct {
	Members    int              `json:"members"`     // of the throwaway cluster
	RTOSeconds float64          `json:"rto_seconds"` // the measured recovery time; less than a whole one if it failed on the way
	PlainBytes int64            `json:"plain_bytes"` // of the database that was restored
	Phases     []RehearsalPhase `json:"phases"`      // in order
	Checks     []RehearsalCheck `json:"checks"`      // in order
	// Remedy is what mends a failure that is known not to be the backup's fault: an upgrade that was tried with it, or objects that the live
	// cluster holds and an API server cannot read. "" otherwise, and if it passed.
	Remedy string `json:"remedy"`
	// PhasesLeftOut and ChecksLeftOut count what found no room in the note. A check that failed always does before one that passed.
	PhasesLeftOut int `json:"phases_left_out"`
	ChecksLeftOut int `json:"checks_left_out"`
}

// RehearsalPhase is a step of a rehearsal.
type RehearsalPhase struct {
	Name    string  `json:"name"`
	Etcd    string  `json:"etcd"` // the server it concerns in a rehearsal of an upgrade; "" otherwise
	Seconds float64 `json:"seconds"`
	InRTO   bool    `json:"in_rto"`
}

// RehearsalCheck is a question that a rehearsal asked. Why one failed is in the report's Detail, of the first.
type RehearsalCheck struct {
	Name   string `json:"name"`
	Etcd   string `json:"etcd"`
	Result string `json:"result"` // passed, failed, untested
}

const (
	// mostItems bounds the phases and the checks of a report, each for itself, and longestWord each word in them, in bytes: a
	// rehearsal of an upgrade over ten servers has some fifty.
	mostItems   = 80
	longestWord = 40
)

// bounded is a copy that fits into a note.
func (r *Rehearsal) bounded() *Rehearsal {
	if r == nil {
		return nil
	}
	b := *r
	b.Phases, b.Checks, b.Remedy = slices.Clone(r.Phases), slices.Clone(r.Checks), brief(r.Remedy)
	if over := len(b.Phases) - mostItems; over > 0 {
		b.Phases, b.PhasesLeftOut = b.Phases[:mostItems], b.PhasesLeftOut+over
	}
	for i := len(b.Checks) - 1; i >= 0 && len(b.Checks) > mostItems; i-- {
		if b.Checks[i].Result != "failed" {
			b.Checks, b.ChecksLeftOut = slices.Delete(b.Checks, i, i+1), b.ChecksLeftOut+1
		}
	}
	if over := len(b.Checks) - mostItems; over > 0 {
		b.Checks, b.ChecksLeftOut = b.Checks[:mostItems], b.ChecksLeftOut+over
	}
	for i, p := range b.Phases {
		b.Phases[i].Name, b.Phases[i].Etcd = word(p.Name), word(p.Etcd)
	}
	for i, c := range b.Checks {
		b.Checks[i] = RehearsalCheck{word(c.Name), word(c.Etcd), word(c.Result)}
	}
	b.Phases, b.Checks = orEmpty(b.Phases), orEmpty(b.Checks)
	return &b
}

// word cuts a word, and takes out what JSON would write six times as long.
func word(s string) string {
	return cut(strings.Map(func(r rune) rune {
		if r < ' ' || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?")), longestWord)
}

func (r *Rehearsal) possible() bool {
	for _, p := range r.Phases {
		if p.Seconds < 0 {
			return false
		}
	}
	return r.Members >= 0 && r.RTOSeconds >= 0 && r.PlainBytes >= 0 && r.PhasesLeftOut >= 0 && r.ChecksLeftOut >= 0
}

// PastReports are the newest reports of one kind on whichever backup of a cluster.
type PastReports struct {
	Reports  []Report // the newest first
	Ignored  int      // how many of those looked at carry no signature of a trusted key, where there are trusted keys
	Problems []*Problem
}

// attempts bounds how many reports are fetched for each that is asked for: whoever can write into a sink could otherwise have us read
// thousands of notes that nobody signed.
const attempts = 4

// Past reads the newest n reports of a kind on whichever backups of a cluster, each from the first sink that gives it as it should be.
// Only authentic ones count. Sinks and reports that cannot be read are told as problems; it is an error only if no sink can be listed.
func Past(ctx context.Context, ss []Named, cluster string, kind ReportKind, n int, t Trust) (past PastReports, err error) {
	held := make([][]sinks.Object, len(ss))
	past.Problems, err = eachSink(ctx, ss, func(ctx context.Context, i int) (err error) {
		held[i], err = listReports(ctx, ss[i], cluster)
		return err
	})
	if err != nil {
		return past, err
	}
	all := filedOf(held, cluster, string(kind))
	for tried := 0; len(past.Reports) < n && tried < attempts*n && len(all) > 0; {
		batch := all[max(0, len(all)-(n-len(past.Reports))):]
		all = all[:len(all)-len(batch)]
		tried += len(batch)
		past.fetch(ctx, ss, batch, t)
	}
	return past, ctx.Err()
}

// filedOf sorts the names of reports of one kind, the newest last. A name that is none is told by List.
func filedOf(held [][]sinks.Object, cluster, kind string) (all []*filed) {
	known := make(map[string]*filed)
	for i := range held {
		for _, o := range held[i] {
			id, at, slot, err := parseReportKey(cluster, o.Key)
			switch f := known[o.Key]; {
			case err != nil || slot != kind:
			case f != nil:
				f.sinks, f.at = append(f.sinks, i), earlier(f.at, o.ModTime)
			default:
				known[o.Key] = &filed{o.Key, id, earlier(at, o.ModTime), slot, []int{i}}
				all = append(all, known[o.Key])
			}
		}
	}
	slices.SortFunc(all, byTime)
	return all
}

// fetch reads a batch at once and keeps what is authentic, the newest first.
func (p *PastReports) fetch(ctx context.Context, ss []Named, batch []*filed, t Trust) {
	got, errs := make([]Report, len(batch)), make([]error, len(batch))
	var g errgroup.Group
	g.SetLimit(fetches)
	for i, f := range batch {
		g.Go(func() error {
			got[i], errs[i] = fetchReport(ctx, ss, f, t)
			return nil // kept in its place
		})
	}
	_ = g.Wait() // always nil, see above
	for i := range slices.Backward(batch) {
		var problem *Problem
		switch err := errs[i]; {
		case err == nil:
			p.Reports = append(p.Reports, got[i])
		case errors.Is(err, fs.ErrNotExist): // removed since it was listed
		case t.Verifiers != nil && errors.Is(err, ErrNotAuthentic):
			p.Ignored++
		case errors.As(err, &problem):
			p.Problems = append(p.Problems, problem)
		}
	}
}
