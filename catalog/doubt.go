package catalog

import "slices"

// A DoubtCode says in a word why a backup is suspect. They are a closed set: scripts and metrics go by them, people by the reason.
type DoubtCode string

// What speaks against a backup.
const (
	DoubtClusterID DoubtCode = "cluster-id" // it is of another etcd cluster, or of one that was given up
	DoubtRevision  DoubtCode = "revision"   // the revision went back
	DoubtLiveKeys  DoubtCode = "live-keys"  // less than half of the keys are left
	DoubtOther     DoubtCode = "other"      // a sink could not be read; or the manifest is older than the codes
)

// DoubtCodes are all there are.
func DoubtCodes() []DoubtCode {
	return []DoubtCode{DoubtClusterID, DoubtRevision, DoubtLiveKeys, DoubtOther}
}

// A Doubt is one reason for which a backup is suspect.
type Doubt struct {
	Code   DoubtCode
	Reason string // a sentence
}

// Reasons are the sentences of doubts.
func Reasons(doubts []Doubt) (all []string) {
	for _, d := range doubts {
		all = append(all, d.Reason)
	}
	return all
}

// codesOf are the codes of doubts, one for each.
func codesOf(doubts []Doubt) (all []DoubtCode) {
	for _, d := range doubts {
		all = append(all, d.Code)
	}
	return all
}

// suspectOf is what a manifest says of doubts.
func suspectOf(doubts []Doubt) Suspect {
	return Suspect{Reasons: Reasons(doubts), Codes: codesOf(doubts)}
}

// Doubts are the reasons with their codes: DoubtOther where a manifest has none, because it is older, or one that this version does not know.
func (s Suspect) Doubts() (all []Doubt) {
	for i, reason := range s.Reasons {
		d := Doubt{DoubtOther, reason}
		if i < len(s.Codes) && slices.Contains(DoubtCodes(), s.Codes[i]) {
			d.Code = s.Codes[i]
		}
		all = append(all, d)
	}
	return all
}

// ownDoubts are why the lineage of a backup would be suspect, as far as that can be told from this one.
func (e Entry) ownDoubts() []Doubt {
	if len(e.Suspect.Reasons) > 0 {
		return e.Suspect.Doubts()
	}
	return e.Blind
}

// setDoubts says of a backup why it is suspect.
func (e *Entry) setDoubts(doubts []Doubt) {
	e.Doubts, e.DoubtCodes = orEmpty(Reasons(doubts)), orEmpty(codesOf(doubts))
}
