// Package page writes the report of a rehearsal as one HTML page that an auditor can keep: it needs no script, no font and no other
// file, asks nobody for anything, and says so to the browser. It refuses to judge: what passed and what failed is the report's.
package page

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

//go:embed page.html
var markup string

//go:embed style.css
var style string

// Write writes the page. Whatever the report's texts say, they stand there as text.
func Write(w io.Writer, r *rehearsal.Report) error {
	t, err := template.New("page").Parse(markup)
	if err != nil {
		return err
	}
	return t.Execute(w, viewOf(r))
}

// view is the report as the page words it.
type view struct {
	*rehearsal.Report
	Style    template.CSS
	Title    string
	When     string
	Lead     string
	Versions string
	Figures  []figure
	Facts    []fact
	Timeline timeline
	Trend    *chart // nil if there is nothing to compare with, and nothing was looked for
	Checks   []check
	Rows     []row
	Proves   []string
	Not      []string
	Took     string
}

// A figure is a number to be seen at once, with a line beneath it.
type figure struct{ Name, Value, Note string }

// A fact is a row of what is known of the backup.
type fact struct {
	Name, Value string
	Mono        bool // an id or a digest
}

// check is a question as the page shows it: its rest are the lines after the first.
type check struct {
	rehearsal.Check
	Meaning, First, Rest, Took string
}

type row struct {
	rehearsal.Row
	Verdict string
}

func viewOf(r *rehearsal.Report) view {
	v := view{
		Report: r, Style: template.CSS(style), When: date(r.Started), Versions: strings.Join(r.EtcdVersions, ", then "),
		Timeline: timelineOf(r), Took: duration(r.Finished.Sub(r.Started).Seconds()),
		Facts: factsOf(r), Proves: proves(r), Not: doesNot(r),
	}
	v.Title = "Rehearsal of " + r.Backup.ID + ": failed"
	v.Lead, _, _ = strings.Cut(r.Reason, "\n")
	if r.Passed {
		v.Title = "Rehearsal of " + r.Backup.ID + ": proven"
		v.Lead = "This backup was restored into " + count(r.Members, "member") + " of etcd " + v.Versions + ". They served, and every one of them holds what was backed up."
	}
	if r.Trend != nil {
		v.Trend = chartOf(r)
	}
	passed, failed, untested := 0, 0, 0
	for _, c := range r.Checks {
		first, rest, _ := strings.Cut(c.Detail, "\n")
		v.Checks = append(v.Checks, check{c, meanings()[c.Name], first, strings.TrimRight(rest, "\n"), duration(c.Seconds)})
		switch c.Result {
		case rehearsal.Passed:
			passed++
		case rehearsal.Failed:
			failed++
		default:
			untested++
		}
	}
	for _, c := range r.Comparison {
		verdict := "equal"
		switch {
		case c.Role == rehearsal.RoleBackup:
			verdict = "expected"
		case !c.Equal:
			verdict = "different"
		}
		v.Rows = append(v.Rows, row{c, verdict})
	}
	v.Figures = []figure{
		{"Recovery time", recovery(r), "measured: first byte fetched until every member served"},
		{"Age of the backup", age(r), "from its start until this rehearsal"},
		{"Database", size(r.Backup.PlainBytes), sealed(r)},
		{"Checks", count(passed, "passed"), count(failed, "failed") + ", " + count(untested, "untested")},
	}
	if failed > 0 {
		v.Figures[3].Value, v.Figures[3].Note = count(failed, "failed"), count(passed, "passed")+", "+count(untested, "untested")
	}
	return v
}

func recovery(r *rehearsal.Report) string {
	if r.RTOSeconds == 0 {
		return "not measured"
	}
	return duration(r.RTOSeconds)
}

func age(r *rehearsal.Report) string {
	if r.Backup.Taken == nil {
		return "unknown"
	}
	return span(r.Started.Sub(*r.Backup.Taken))
}

func sealed(r *rehearsal.Report) string {
	if r.Backup.SealedBytes == 0 {
		return "from a file on this machine"
	}
	return size(r.Backup.SealedBytes) + " as stored"
}

func factsOf(r *rehearsal.Report) (all []fact) {
	b := r.Backup
	add := func(name, value string, mono bool) {
		if value != "" {
			all = append(all, fact{name, value, mono})
		}
	}
	add("Backup", b.ID, true)
	add("File", b.File, true)
	add("Cluster", b.Cluster, false)
	if b.Taken != nil {
		add("Taken", date(*b.Taken)+", "+age(r)+" before the rehearsal", false)
	}
	history := "no history was compacted"
	if b.CompactRevision > 0 {
		history = "history goes back to " + number(b.CompactRevision)
	}
	add("Revision", number(b.Revision)+"; "+history, false)
	add("Taken from", "etcd "+orUnknown(b.SourceVersion)+"; storage version "+orUnknown(b.StorageVersion), false)
	if b.File == "" {
		add("Live members compared", orElse(strings.Join(b.MembersCompared, ", "), "none when it was taken (backup --attest does)"), false)
		add("Signature", signature(b), false)
	}
	add("Opened with", r.OpenedBy(), r.OpenedWith != "")
	add("Size", size(b.PlainBytes)+" plain"+sealedToo(b), false)
	add("Rehearsed on", count(r.Members, "member")+" of etcd "+orUnknown(strings.Join(r.EtcdVersions, ", then ")), false)
	add("Rehearsal", date(r.Started)+" to "+r.Finished.UTC().Format(time.TimeOnly), false)
	add("Restored directories kept in", r.Kept, true)
	return all
}

func signature(b rehearsal.Backup) string {
	switch by := strings.Join(b.SignedBy, ", "); {
	case b.Trusted:
		return "by " + by + ", checked with a trusted key"
	case b.Signed:
		return "claims to be by " + by + "; no trusted key was given to check it with"
	}
	return "not signed"
}

func sealedToo(b rehearsal.Backup) string {
	if b.SealedBytes == 0 {
		return ""
	}
	return ", " + size(b.SealedBytes) + " as stored"
}
