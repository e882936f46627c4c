package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/backup/prune"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/retention"
)

const noRule = "no rule keeps it"

func (g *global) printPrunePlan(plan *prune.Plan) error {
	if len(plan.Lines) == 0 {
		fmt.Fprintln(g.err, "lifeboat: no backup here")
		return nil
	}
	numbers := lineageNumbers(plan)
	rows := [][]string{{"BACKUP", "AGE", "STORED", "LINEAGE", "DECISION", "REASON"}}
	for _, l := range plan.Lines {
		state := fmt.Sprint(numbers[l.Lineage])
		if len(l.Doubts) > 0 {
			state += " (suspect)"
		}
		reason := strings.Join(l.Reasons, "; ")
		if l.Verdict == retention.Remove {
			reason = noRule
		}
		rows = append(rows, []string{
			string(l.Entry.ID), ageText(g.now().Sub(l.Started)), bytesText(l.Manifest.Sealed.Size), state, string(l.Verdict), reason,
		})
	}
	return g.table(rows)
}

// tellPruned says what the table cannot: why something is frozen and what ends that, and what was done, or would be.
func (g *global) tellPruned(plan *prune.Plan, r *prune.Result) {
	say := func(format string, args ...any) { fmt.Fprintf(g.err, "lifeboat: "+format+"\n", args...) }
	t := totalsOf(plan)
	for _, first := range plan.Frozen() {
		var doubts []string
		for _, l := range plan.Lines {
			if l.Lineage.First == first && len(l.Doubts) > 0 {
				doubts = l.Doubts
			}
		}
		g.warnf("%d older backups are frozen: the lineage that began with %s is suspect (%s)", t.Frozen, first, strings.Join(doubts, "; "))
		still := ""
		if e, _, err := plan.Listing.Resolve("latest", g.now()); err == nil {
			still = fmt.Sprintf(", and `lifeboat restore latest` means %s", e.ID)
		}
		fmt.Fprintf(g.err, "lifeboat: hint: if that change was meant, `lifeboat accept` a backup of it; if it was not, nothing of what was before is lost%s\n", still)
	}
	for _, x := range plan.Garbage {
		say("in %s %d objects (%s) and %d unfinished uploads older than 24 hours belong to no backup, the first is %s", x.Sink, x.Objects, bytesText(x.Bytes), x.Uploads, x.Names[0])
	}
	say("of %d backups %d stay, %d are frozen, %d go (%s), %d more in later runs", len(plan.Lines), t.Keep, t.Frozen, t.Remove, bytesText(t.RemoveBytes), t.Later)
	if r == nil {
		say("this was a dry run, nothing was removed: --apply removes it")
		return
	}
	for _, s := range r.Spared {
		say("spared %s: %s", s.ID, s.Reason)
	}
	for _, l := range r.Locked {
		say("locked, and left for a later run: %v", l.Err)
	}
	for _, f := range r.Failed {
		g.warnf("%v", f.Err)
	}
	say("removed %d backups, %d orphans and %d unfinished uploads: %s are free", len(r.Removed), r.Orphans, r.Uploads, bytesText(r.Bytes))
}

// pruneJSON is `prune -o json`.
type pruneJSON struct {
	Cluster  string         `json:"cluster"`
	Applied  bool           `json:"applied"`
	Backups  []decisionJSON `json:"decisions"`
	Totals   pruneTotals    `json:"totals"`
	Garbage  []garbageJSON  `json:"garbage"`
	Warnings []string       `json:"warnings"`
	Removed  []catalog.ID   `json:"removed"`
	Spared   []sparedJSON   `json:"spared"`
	Locked   []troubleJSON  `json:"locked"`
	Failed   []troubleJSON  `json:"failed"`
	Orphans  int            `json:"orphans_removed"`
	Uploads  int            `json:"uploads_given_up"`
	Bytes    int64          `json:"bytes_freed"`
}

type decisionJSON struct {
	ID       catalog.ID        `json:"id"`
	Age      float64           `json:"age_seconds"`
	Bytes    int64             `json:"bytes"`
	Sinks    []string          `json:"sinks"`
	Lineage  catalog.ID        `json:"lineage"`
	Suspect  bool              `json:"suspect"`
	Decision retention.Verdict `json:"decision"`
	Reasons  []string          `json:"reasons"`
}

type pruneTotals struct {
	Keep        int   `json:"keep"`
	Frozen      int   `json:"frozen"`
	Remove      int   `json:"remove"`
	Later       int   `json:"later"`
	RemoveBytes int64 `json:"remove_bytes"`
}

type garbageJSON struct {
	Sink    string   `json:"sink"`
	Objects int      `json:"objects"`
	Bytes   int64    `json:"bytes"`
	Uploads int      `json:"uploads"`
	Names   []string `json:"names"`
}

type sparedJSON struct {
	ID     catalog.ID `json:"id"`
	Reason string     `json:"reason"`
}

type troubleJSON struct {
	Sink  string     `json:"sink"`
	ID    catalog.ID `json:"id"`
	Error string     `json:"error"`
}

func totalsOf(plan *prune.Plan) (t pruneTotals) {
	for _, l := range plan.Lines {
		switch l.Verdict {
		case retention.Keep:
			t.Keep++
		case retention.Frozen:
			t.Frozen++
		case retention.Later:
			t.Later++
		case retention.Remove:
			t.Remove++
			t.RemoveBytes += l.Bytes()
		}
	}
	return t
}

func newPruneJSON(now time.Time, plan *prune.Plan, r *prune.Result) pruneJSON {
	out := pruneJSON{
		Cluster: plan.Listing.Cluster, Applied: r != nil, Totals: totalsOf(plan), Warnings: append([]string{}, plan.Warnings...),
		Backups: []decisionJSON{}, Garbage: []garbageJSON{}, Removed: []catalog.ID{}, Spared: []sparedJSON{}, Locked: []troubleJSON{}, Failed: []troubleJSON{},
	}
	for _, l := range plan.Lines {
		reasons := append([]string{}, l.Reasons...)
		if l.Verdict == retention.Remove {
			reasons = []string{noRule}
		}
		out.Backups = append(out.Backups, decisionJSON{
			l.Entry.ID, now.Sub(l.Started).Round(time.Millisecond).Seconds(), l.Bytes(), l.Sinks, l.Lineage.First, len(l.Doubts) > 0, l.Verdict, reasons,
		})
	}
	for _, g := range plan.Garbage {
		out.Garbage = append(out.Garbage, garbageJSON(g))
	}
	if r == nil {
		return out
	}
	out.Removed = append(out.Removed, r.Removed...)
	for _, s := range r.Spared {
		out.Spared = append(out.Spared, sparedJSON(s))
	}
	out.Locked, out.Failed = troubles(r.Locked), troubles(r.Failed)
	out.Orphans, out.Uploads, out.Bytes = r.Orphans, r.Uploads, r.Bytes
	return out
}

func troubles(all []prune.Trouble) []troubleJSON {
	out := []troubleJSON{}
	for _, t := range all {
		out = append(out, troubleJSON{t.Sink, t.ID, oneLine(t.Err.Error())})
	}
	return out
}
