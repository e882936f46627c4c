package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// What is worth telling, and from where on.
const (
	clockTolerance = 5 * time.Second // members' clocks are seen to a second or so
	fullShare      = 0.8             // of the quota
	defaultQuota   = 2 << 30         // etcd's own, where it does not tell, before 3.6
	fragmentedFrom = 256 << 20       // bytes that nothing uses, and more than half of the file
	lagging        = 5000            // raft entries, at which etcd itself begins to refuse
)

// findings looks for everything else a person should know. The most urgent come first.
func (d *decider) findings() {
	if d.Etcd != nil {
		d.alarms()
		d.memberLists()
		d.learners()
		d.progress()
		d.certificates()
		d.clocks()
		d.space()
		d.versions()
		d.size()
	}
	d.directories()
	d.backups()
	weight := map[Severity]int{Critical: 0, Warning: 1, Note: 2}
	slices.SortStableFunc(d.Findings, func(a, b Finding) int { return cmp.Compare(weight[a.Severity], weight[b.Severity]) })
	for i := range d.Findings {
		d.Findings[i].Commands = append([]string{}, d.Findings[i].Commands...)
	}
}

// find adds a finding about etcd.
func (d *decider) find(code string, s Severity, advice string, commands []string, format string, args ...any) {
	d.Findings = append(d.Findings, Finding{Code: code, Severity: s, About: AboutEtcd, Text: fmt.Sprintf(format, args...), Advice: advice, Commands: commands})
}

// findBackups adds a finding about the backups.
func (d *decider) findBackups(code string, s Severity, advice, format string, args ...any) {
	d.Findings = append(d.Findings, Finding{Code: code, Severity: s, About: AboutBackups, Text: fmt.Sprintf(format, args...), Advice: advice})
}

// certificates tells of those that end soon, ours and the servers'. Peer certificates are shown to nobody but peers.
func (d *decider) certificates() {
	for _, c := range d.Etcd.Certificates {
		switch sentence, renew, ended := c.Ending(d.Now); {
		case ended:
			d.find("certificate-expired", Critical, renew, nil, "%s", sentence)
		case sentence != "":
			d.find("certificate-expires", Warning, renew, nil, "%s", sentence)
		}
	}
}

// clocks compares what the members' hosts say with this one's.
func (d *decider) clocks() {
	for _, e := range d.Etcd.Answered {
		ahead, measured := d.Etcd.Clocks[e.URL]
		if !measured || ahead.Abs() < clockTolerance {
			continue
		}
		way := "ahead of"
		if ahead < 0 {
			way = "behind"
		}
		d.find("clock-skew", Warning, "set the clocks by NTP on every node: certificates, ages of backups and the order of log lines go by them", nil,
			"the clock of %s is %s %s this machine's", orURL(e), ahead.Abs().Round(time.Second), way)
	}
}

func orURL(e snapshot.Endpoint) string {
	if e.Name == "" {
		return e.URL
	}
	return e.Name
}
