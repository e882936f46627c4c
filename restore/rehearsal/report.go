package rehearsal

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Format is the version of Report's JSON. The JSON is a contract: a field never changes its name or its meaning, new
// ones may be added, and a reader ignores those it does not know. Only an incompatible change would raise Format.
const Format = 1

// Report is what a rehearsal found out, as JSON under `-o json`. Times are UTC, durations seconds.
type Report struct {
	Format   int       `json:"format"`
	Passed   bool      `json:"passed"`
	Reason   string    `json:"reason,omitempty"` // the first check that failed, in a sentence; empty if Passed
	Remedy   string    `json:"remedy,omitempty"` // what mends that, where it is known not to be the backup's fault
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Tool     string    `json:"tool_version,omitempty"`
	Backup   Backup    `json:"backup"`
	// OpenedWith is the fingerprint of the key that opened the file; empty if it was not encrypted, or not restored.
	OpenedWith string `json:"opened_with,omitempty"`
	// EtcdVersions are the servers the restored members ran on, in order, as they said themselves.
	EtcdVersions []string `json:"etcd_versions"`
	Members      int      `json:"members"`
	// APIServer is what a kube-apiserver made of the objects; nil unless one was asked.
	APIServer *APIServer `json:"apiserver,omitempty"`
	Checks    []Check    `json:"checks"`
	Phases    []Phase    `json:"phases"`
	// RTOSeconds is the measured recovery time: every phase from the first byte fetched until every member served.
	RTOSeconds float64 `json:"rto_seconds"`
	// Comparison holds the backup's HashKV first and then what each restored member said, per server version.
	Comparison []Row `json:"comparison"`
	// Trend holds the rehearsals before this one; nil if nobody looked for them.
	Trend *Trend `json:"trend,omitempty"`
	// Kept is the directory that was left for a look.
	Kept string `json:"kept,omitempty"`

	asked time.Time // when the last check was answered
}

// Backup says what was rehearsed.
type Backup struct {
	ID      string     `json:"id"`                // a local file's is the sha256 of the plain snapshot
	Cluster string     `json:"cluster,omitempty"` // its name in the bucket
	Taken   *time.Time `json:"taken,omitempty"`   // unknown for a local file
	File    string     `json:"file,omitempty"`    // a local file's path
	// Revision is the newest in the backup, CompactRevision the one below which history was already gone.
	Revision        int64 `json:"revision"`
	CompactRevision int64 `json:"compact_revision"`
	// SourceVersion is the etcd that the backup was taken from; empty if nobody recorded it.
	SourceVersion  string `json:"source_version,omitempty"`
	StorageVersion string `json:"storage_version,omitempty"`
	PlainBytes     int64  `json:"plain_bytes"`            // of the database
	SealedBytes    int64  `json:"sealed_bytes,omitempty"` // as it lies in the sinks; 0 for a local file
	// MembersCompared are the source's members whose live HashKV was compared with the backup when it was taken
	// (`backup --attest`). Empty: the backup is compared with itself as it was read when it was taken, no further.
	MembersCompared []string `json:"source_members_compared"`
	Signed          bool     `json:"signed"`
	SignedBy        []string `json:"signed_by,omitempty"`
	Trusted         bool     `json:"trusted"` // a signature was checked against a trusted key
}

// Result is how a check ended.
type Result string

// The results a check can have. Untested says that the question does not apply, and Detail why; it is no failure.
const (
	Passed   Result = "passed"
	Failed   Result = "failed"
	Untested Result = "untested"
)

// The checks' names, as they stand in Check.Name. With several servers (an upgrade rehearsal) a name comes once for each.
const (
	CheckRestore    = "restore"           // fetched, authenticated, opened and made into directories
	CheckQuorum     = "quorum"            // every member answers a linearizable read in time
	CheckHash       = "hashkv"            // every member's HashKV at the backup's revision equals the backup's
	CheckKeys       = "keys"              // number of keys in total and per prefix
	CheckAlarms     = "alarms"            // none is raised
	CheckCanary     = "canary"            // a key is written, read from every member, deleted
	CheckSettle     = "settle"            // between 3.5 and 3.7: etcd 3.6 took a raft snapshot
	CheckRejoin     = "rejoin"            // a killed member comes back and catches up
	CheckCompaction = "compaction"        // history is compacted and every member defragmented
	CheckBump       = "bump"              // restored with the revision bump: serves, and keys are all there
	CheckOldWatch   = "old-watch"         // with the bump a watch from before the restore is told to start over
	CheckRevision   = "revision-advances" // with the bump a new write's revision lies above all that the source gave out

	// With --apiserver:
	CheckAPIServer      = "apiserver"         // a kube-apiserver becomes ready on the restored members
	CheckObjects        = "apiserver-objects" // it lists every object, and each is what a key in the backup says; further ones for each resource that failed or was not tested
	CheckUnread         = "apiserver-unread"  // no key of Kubernetes is without an API that reads it
	CheckAPIServerWatch = "apiserver-watch"   // a client that saw more than the backup has is told to list everything again
)

// Check is one question the rehearsal asked.
type Check struct {
	Name   string `json:"name"`
	Etcd   string `json:"etcd,omitempty"` // the server it was asked of; empty where none was involved
	Result Result `json:"result"`
	Detail string `json:"detail,omitempty"`
	// Seconds passed since the check before was answered: what had to be done for this one is in it.
	Seconds float64 `json:"seconds"`
}

// Phase is a step of the rehearsal and how long it took. The phases that make up a recovery have InRTO.
type Phase struct {
	Name    string  `json:"name"`
	Etcd    string  `json:"etcd,omitempty"` // the server it concerns, where there are several
	Seconds float64 `json:"seconds"`
	InRTO   bool    `json:"in_rto"`
}

// check appends a result. The first failure becomes the report's reason.
func (r *Report) check(name, etcd string, result Result, format string, args ...any) {
	c := Check{Name: name, Etcd: etcd, Result: result, Detail: fmt.Sprintf(format, args...)}
	now := time.Now()
	if !r.asked.IsZero() {
		c.Seconds = now.Sub(r.asked).Seconds()
	}
	r.asked, r.Checks = now, append(r.Checks, c)
	if result == Failed && r.Reason == "" {
		r.Reason = c.String()
	}
}

func (c Check) String() string {
	if c.Etcd != "" {
		return fmt.Sprintf("%s on etcd %s: %s", c.Name, c.Etcd, c.Detail)
	}
	return fmt.Sprintf("%s: %s", c.Name, c.Detail)
}

// phase appends a step that took so long, or adds to the last one.
func (r *Report) phase(name, etcd string, took time.Duration, inRTO bool) {
	if last := len(r.Phases) - 1; last >= 0 && r.Phases[last].Name == name && r.Phases[last].Etcd == etcd {
		r.Phases[last].Seconds += took.Seconds()
	} else {
		r.Phases = append(r.Phases, Phase{name, etcd, took.Seconds(), inRTO})
	}
	if inRTO {
		r.RTOSeconds += took.Seconds()
	}
}

// settle decides whether the rehearsal passed: something was asked, and nothing failed.
func (r *Report) settle(now time.Time) {
	r.Finished = now.UTC()
	asked := false
	for _, c := range r.Checks {
		asked = asked || c.Result == Passed
	}
	r.Passed = asked && r.Reason == ""
	if !r.Passed && r.Reason == "" {
		r.Reason = "nothing was tested"
	}
}

// Table writes the report for a person: verdict first, then the comparison, the checks and the times.
func (r *Report) Table(w io.Writer) error {
	p := &printer{w: w}
	verdict := "PROVEN"
	if !r.Passed {
		verdict = "FAILED"
	}
	p.line("rehearsal of %s: %s", r.Backup.ID, verdict)
	if r.Reason != "" {
		p.line("reason:      %s", r.Reason)
	}
	if r.Remedy != "" {
		p.line("remedy:      %s", r.Remedy)
	}
	p.line("backup:      %s", r.Backup.describe(r.Started))
	p.line("opened with: %s", r.opened())
	if len(r.EtcdVersions) > 0 {
		p.line("tested on:   %s", countOf(r.Members, "member")+" of etcd "+strings.Join(r.EtcdVersions, ", then "))
	}
	if r.APIServer != nil {
		p.line("read by:     kube-apiserver %s", r.APIServer.Version)
	}
	if p.err == nil && len(r.Comparison) > 0 {
		p.line("")
		p.err = WriteRows(w, r.Comparison)
	}
	p.line("")
	p.checks(r.Checks)
	p.line("")
	if len(r.Phases) > 0 {
		p.line("times:       %s", r.times())
	}
	if r.RTOSeconds > 0 {
		p.line("recovery:    %.1f s from the first byte fetched until every member served (measured RTO)", r.RTOSeconds)
	}
	if text := r.Trend.String(); text != "" {
		p.line("trend:       %s", text)
	}
	if r.Kept != "" {
		p.line("kept:        %s", r.Kept)
	}
	return p.err
}

func (b Backup) describe(now time.Time) string {
	var parts []string
	if b.Cluster != "" {
		parts = append(parts, "cluster "+b.Cluster)
	}
	if b.File != "" {
		parts = append(parts, "file "+b.File)
	}
	if b.Taken != nil {
		parts = append(parts, fmt.Sprintf("taken %s, %s before", b.Taken.UTC().Format("2006-01-02 15:04:05 UTC"), now.Sub(*b.Taken).Round(time.Second)))
	}
	if b.SourceVersion != "" {
		parts = append(parts, "from etcd "+b.SourceVersion)
	}
	switch {
	case b.File != "":
	case len(b.MembersCompared) > 0:
		parts = append(parts, "compared with live "+strings.Join(b.MembersCompared, ", "))
	default:
		parts = append(parts, "no live member was compared with it (backup --attest does)")
	}
	return strings.Join(parts, "; ")
}

func (r *Report) opened() string {
	key := r.OpenedBy()
	if r.OpenedWith != "" {
		key = "key " + key
	}
	switch {
	case r.Backup.File != "":
		return key
	case r.Backup.Trusted:
		return key + "; signed by " + strings.Join(r.Backup.SignedBy, ", ")
	case r.Backup.Signed:
		return key + "; signed, but no trusted key was given to check it with"
	}
	return key + "; NOT signed"
}

// OpenedBy is OpenedWith, or says for people why there is no such key.
func (r *Report) OpenedBy() string {
	restored := slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Name == CheckRestore && c.Result == Passed })
	switch {
	case r.OpenedWith != "":
		return r.OpenedWith
	case !restored:
		return "unproven: it was not restored"
	}
	return "no key: it is not encrypted"
}

func (r *Report) times() string {
	var parts []string
	for _, ph := range r.Phases {
		name := ph.Name
		if ph.Etcd != "" {
			name += " (" + ph.Etcd + ")"
		}
		parts = append(parts, fmt.Sprintf("%s %.1f s", name, ph.Seconds))
	}
	return strings.Join(parts, " · ")
}

// printer remembers the first error of a row of writes.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) checks(all []Check) {
	if p.err != nil {
		return
	}
	tw := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "CHECK\tETCD\tRESULT\tDETAIL")
	for _, c := range all {
		result := string(c.Result)
		if c.Result == Failed {
			result = "FAILED"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", c.Name, dash(c.Etcd), result, firstLine(c.Detail))
	}
	p.err = tw.Flush()
	for _, c := range all {
		if rest, ok := laterLines(c.Detail); ok && c.Result == Failed {
			p.line("\n%s, in full:\n%s", c.Name, rest)
		}
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func laterLines(s string) (string, bool) {
	_, rest, ok := strings.Cut(s, "\n")
	return "  " + strings.ReplaceAll(rest, "\n", "\n  "), ok && rest != ""
}

func countOf(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
