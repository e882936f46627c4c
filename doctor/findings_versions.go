package doctor

import (
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// A flaw is a defect of etcd that is worth an upgrade by itself. It is in every version from From on and before Fixed.
type flaw struct {
	code        string
	severity    Severity
	from, fixed string
	what        string
}

// flaws are those that lose, hide or corrupt data or members.
func flaws() []flaw {
	return []flaw{
		{"version-corrupts", Critical, "v3.5.0", "v3.5.3", "can corrupt its data when it is killed under load"},
		{"version-watch", Warning, "v3.5.0", "v3.5.18", "can lose events of watches"},
		{"version-learner", Warning, "v3.5.1", "v3.5.20", "can forget over a restart that a learner was promoted, which stops the upgrade to 3.6"},
		{"version-defrag", Warning, "v3.5.0", "v3.5.23", "can fail when it is sent a snapshot while it is defragmented"},
		{"version-defrag", Warning, "v3.6.0", "v3.6.5", "can fail when it is sent a snapshot while it is defragmented"},
		{"version-zombies", Warning, "v3.5.0", "v3.5.26", "can bring back removed members (zombies) on the way to 3.6"},
		{"version-old", Warning, "v0.0.0", "v3.5.0", "gets no more corrections"},
	}
}

// versions tells of known defects, each once, and of members of different versions.
func (d *decider) versions() {
	whose := map[string][]string{} // version → members
	var all []string
	for _, e := range d.Etcd.Answered {
		if v := "v" + e.Version; semver.IsValid(v) {
			if len(whose[v]) == 0 {
				all = append(all, v)
			}
			whose[v] = append(whose[v], orURL(e))
		}
	}
	slices.SortFunc(all, semver.Compare)
	for _, f := range flaws() {
		for _, v := range all {
			if semver.Compare(v, f.from) >= 0 && semver.Compare(v, f.fixed) < 0 {
				advice := "upgrade to the newest patch of its minor, one member after the other, after a backup"
				if f.code == "version-old" {
					advice = "upgrade, one minor at a time; `lifeboat rehearse --etcd` shows on a backup how that goes"
				}
				d.find(f.code, f.severity, advice, nil, "etcd %s of %s %s", v[1:], strings.Join(whose[v], ", "), f.what)
			}
		}
	}
	if len(all) > 1 {
		var texts []string
		for _, v := range all {
			texts = append(texts, v[1:]+" on "+strings.Join(whose[v], ", "))
		}
		d.find("versions-mixed", Warning, "finish the upgrade, or go back while all members still allow it; a backup restores into etcd of its own version or newer", nil, "the members run different versions of etcd: %s", strings.Join(texts, "; "))
	}
}
