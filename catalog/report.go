package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// A ReportKind is something that was done with a backup after it was made, and what a report tells the outcome of.
type ReportKind string

// The kinds of reports.
const (
	ReportVerify     ReportKind = "verify"      // copies were read and compared with the manifest
	ReportRehearse   ReportKind = "rehearse"    // a throwaway cluster was booted on it
	ReportCrossCheck ReportKind = "cross-check" // the members of the live cluster were compared with each other
	ReportDelivery   ReportKind = "delivery"    // which sinks hold it, and which do not
)

func (k ReportKind) known() bool {
	return k == ReportVerify || k == ReportRehearse || k == ReportCrossCheck || k == ReportDelivery
}

// A Report is evidence about a backup, kept beside it as a note; of a kind the last by key wins. Its JSON is a contract: fields are only
// ever added. It holds no secrets: sinks are named as people see them, keys by their fingerprints.
//
// Whoever has the key that signs may write one, and where no key is trusted, everybody who can write into the sink may: a report is
// worth as much as the signature that List demanded for it.
type Report struct {
	Format       int            `json:"format"`
	Kind         string         `json:"kind"` // always "report"
	ID           ID             `json:"id"`
	Cluster      string         `json:"cluster"`
	Report       ReportKind     `json:"report"`
	Time         time.Time      `json:"time"`          // UTC, to the microsecond
	OK           bool           `json:"ok"`            // it passed: nothing of what was looked at was wrong
	Deep         bool           `json:"deep"`          // verify: it was opened and looked into
	Unopened     bool           `json:"unopened"`      // verify: its digest is right, but no identity at hand opens it
	OpenedWith   string         `json:"opened_with"`   // fingerprint of the recipient whose identity opened it; "" if nobody's
	Sinks        []SinkResult   `json:"sinks"`         // verify: the copies that were read from end to end; delivery: all sinks
	Members      []MemberResult `json:"members"`       // cross-check
	Detail       string         `json:"detail"`        // one line for people
	TookSeconds  float64        `json:"took_seconds"`  // seconds
	EtcdVersions []string       `json:"etcd_versions"` // rehearse: what it was booted with, in order
	Tool         string         `json:"tool"`
	// Rehearsal holds the figures of a rehearsal; nil for other kinds, and in reports from before it was written.
	Rehearsal *Rehearsal `json:"rehearsal,omitempty"`

	// made is Time, or when the first store got it where that was earlier: what reports are ordered by.
	made time.Time
}

// Made tells when it was made: as it says, but not later than any store got it.
func (r Report) Made() time.Time {
	if r.made.IsZero() { // not from a store
		return r.Time
	}
	return r.made
}

// SinkResult is the outcome in one sink.
type SinkResult struct {
	Sink  string `json:"sink"` // Named.Name
	OK    bool   `json:"ok"`
	Error string `json:"error"` // "" if ok
}

// MemberResult is the outcome for one member of the cluster.
type MemberResult struct {
	MemberID HexID  `json:"member_id"`
	Name     string `json:"name"`
	OK       bool   `json:"ok"`     // false: it is the one that differs
	Detail   string `json:"detail"` // one line for people
}

const (
	kindReport = "report"
	// longestText bounds each text of a report in bytes, so that a wordy error cannot make it longer than notes may be.
	longestText = 500
)

// slot is what ends a report's name. Deep verifications have one of their own, and those that would have been deep, so that they are
// found among the many of the digest only without fetching those.
func (r Report) slot() string {
	switch {
	case r.Deep:
		return deepVerify
	case r.Unopened:
		return unopened
	}
	return string(r.Report)
}

const (
	deepVerify = string(ReportVerify) + "-deep"
	unopened   = string(ReportVerify) + "-unopened"
)

func knownSlot(slot string) bool {
	return slot == deepVerify || slot == unopened || ReportKind(slot).known()
}

// Key is where the report belongs.
func (r Report) Key() string { return ReportKey(r.Cluster, r.ID, r.Time, r.slot()) }

// EncodeReport makes the note of a report; without signers it is unsigned. Format and Kind need not be set. Texts that are too long
// are cut.
func EncodeReport(r Report, signers ...note.Signer) ([]byte, error) {
	r.Format, r.Kind, r.Time = Format, kindReport, r.Time.UTC().Truncate(time.Microsecond)
	r.Sinks, r.Members, r.EtcdVersions = append([]SinkResult{}, r.Sinks...), append([]MemberResult{}, r.Members...), orEmpty(r.EtcdVersions)
	r.Detail, r.Rehearsal = brief(r.Detail), r.Rehearsal.bounded()
	for i := range r.Sinks {
		r.Sinks[i].Error = brief(r.Sinks[i].Error)
	}
	for i := range r.Members {
		r.Members[i].Detail = brief(r.Members[i].Detail)
	}
	if !r.possible() || !r.Report.known() {
		return nil, fmt.Errorf("encode report %q on %q: a field is missing or impossible", r.Report, r.ID)
	}
	data, err := encodeNote(r, signers)
	if err != nil {
		return nil, fmt.Errorf("encode report %s on %s: %w", r.Report, r.ID, err)
	}
	return data, nil
}

func (r Report) possible() bool {
	return validID(r.ID) && CheckCluster(r.Cluster) == nil && !r.Time.IsZero() &&
		(!r.Deep && !r.Unopened || r.Report == ReportVerify && r.Deep != r.Unopened) &&
		(r.Rehearsal == nil || r.Report == ReportRehearse && r.Rehearsal.possible())
}

// againstBackup reports whether it failed for what may be the fault of the backup.
func (r Report) againstBackup() bool {
	return !r.OK && (r.Report == ReportVerify || r.Report == ReportRehearse && (r.Rehearsal == nil || r.Rehearsal.Remedy == ""))
}

// brief makes one line of limited length.
func brief(s string) string { return cut(s, longestText) }

func cut(s string, longest int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}

// DecodeReport reads the note of a report that lies under key; one under another key than it tells is ErrNotAuthentic. A trusted key
// makes unsigned reports ErrNotAuthentic, whatever Trust.AcceptUnsigned says: that is for old backups, not for evidence.
func DecodeReport(key string, data []byte, t Trust) (Report, error) {
	t.AcceptUnsigned = false
	text, _, err := openNote(data, t)
	if err != nil {
		return Report{}, fmt.Errorf("report: %w", err)
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return Report{}, fmt.Errorf("report: %w: %w", ErrDamaged, err)
	}
	if r.Format != Format || r.Kind != kindReport || !r.Report.known() {
		return Report{}, fmt.Errorf("report: format %d, kind %.40q, report %.40q: %w", r.Format, r.Kind, r.Report, ErrUnsupported)
	}
	if !r.possible() {
		return Report{}, fmt.Errorf("report: %w: a field is missing or impossible", ErrDamaged)
	}
	if r.Key() != key {
		return Report{}, fmt.Errorf("report: %w: it belongs at %.200q", ErrNotAuthentic, r.Key())
	}
	r.Time = r.Time.UTC()
	r.Sinks, r.Members, r.EtcdVersions = orEmpty(r.Sinks), orEmpty(r.Members), orEmpty(r.EtcdVersions)
	if r.Rehearsal != nil {
		r.Rehearsal.Phases, r.Rehearsal.Checks = orEmpty(r.Rehearsal.Phases), orEmpty(r.Rehearsal.Checks)
	}
	return r, nil
}

// PutReport writes a report into one sink. It does not look whether the backup exists.
func PutReport(ctx context.Context, s Named, r Report, signers ...note.Signer) error {
	data, err := EncodeReport(r, signers...)
	if err != nil {
		return err
	}
	return putNote(ctx, s, r.Key(), r.ID, data)
}

// parseReportKey undoes ReportKey for keys that begin with reports(cluster). slot is what ends the name; a slot that this version does
// not know is no error, because a later one may write more.
func parseReportKey(cluster, key string) (id ID, at time.Time, slot string, err error) {
	dir, name, _ := strings.Cut(strings.TrimPrefix(key, reports(cluster)), "/")
	name, isNote := strings.CutSuffix(name, ".note")
	stamp, slot, _ := strings.Cut(name, "-")
	id, err = ParseID(dir)
	if err == nil {
		at, err = time.Parse(eventTime, stamp)
	}
	if err != nil || !isNote || slot == "" || strings.Trim(slot, "abcdefghijklmnopqrstuvwxyz-") != "" || ReportKey(cluster, id, at, slot) != key {
		return "", time.Time{}, "", fmt.Errorf("%w: not the name of a report", ErrDamaged)
	}
	return id, at, slot, nil
}
