package doctor

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const (
	alarmCorrupt = "CORRUPT"
	alarmSpace   = "NOSPACE"
)

func (d *decider) alarmed(kind string) bool {
	return d.Etcd != nil && slices.ContainsFunc(d.Etcd.Alarms, func(a snapshot.Alarm) bool { return a.Kind == kind })
}

// alarms tells what each alarm means and takes. Lifeboat does none of it.
func (d *decider) alarms() {
	for _, a := range d.Etcd.Alarms {
		whose := "a member that etcd cannot name"
		for _, m := range d.Facts.Members {
			if a.MemberID != 0 && m.ID == a.MemberID {
				whose = m.label()
			}
		}
		switch a.Kind {
		case alarmSpace:
			d.find("alarm-nospace", Critical, "first find out what fills it (in Kubernetes mostly Events or one controller's objects) and take a backup; then forget old revisions, give the space back one member after the other, "+
				"never beside a backup, and take the alarm back. Where it is full of live data, raise --quota-backend-bytes first", d.makeRoom(),
				"the database of %s has reached its quota: the whole cluster refuses every write", whose)
		case alarmCorrupt:
			d.find("alarm-corrupt", Critical, "find out which member differs with `lifeboat verify --cross-check`, replace that one, and only then take the alarm back; do not restore while most members agree", nil,
				"the data of %s is not that of the others (CORRUPT)", whose)
		default:
			d.find("alarm", Critical, "see etcd's documentation", nil, "the alarm %s is raised", a)
		}
	}
}

// makeRoom is what etcd's documentation says against NOSPACE: one member at a time, the leader last.
func (d *decider) makeRoom() []string {
	if !d.Etcd.Quorum {
		return nil
	}
	commands := []string{d.etcdctl(d.endpoints(), "compact", strconv.FormatInt(d.Etcd.Revision, 10))}
	commands = append(commands, d.defragment()...)
	return append(commands, d.etcdctl(d.endpoints(), "alarm", "disarm"))
}

func (d *decider) defragment() []string {
	var commands []string
	for _, leader := range []bool{false, true} {
		for _, e := range d.Etcd.Answered {
			if e.Leader == leader {
				commands = append(commands, d.etcdctl([]string{e.URL}, "defrag"))
			}
		}
	}
	return commands
}

// space looks at how full and how empty the files are.
func (d *decider) space() {
	empty := false
	for _, e := range d.Etcd.Answered {
		quota, told := e.Quota, ""
		if quota <= 0 {
			quota, told = defaultQuota, ", if it has etcd's own quota, which it does not tell"
		}
		if float64(e.DBSize) >= fullShare*float64(quota) && !d.alarmed(alarmSpace) {
			d.find("quota", Warning, "find out what fills it; at the quota the whole cluster refuses every write. Raise --quota-backend-bytes (etcd advises at most 8 GiB), or make room", nil,
				"the database of %s has %s of %s%s", orURL(e), bytesText(e.DBSize), bytesText(quota), told)
		}
		if unused := e.DBSize - e.DBSizeInUse; unused >= fragmentedFrom && unused > e.DBSize/2 && e.DBSizeInUse > 0 {
			empty = true
			d.find("fragmented", Note, "", nil, "of the %s of %s's database %s hold nothing", bytesText(e.DBSize), orURL(e), bytesText(unused))
		}
	}
	for i := range d.Findings {
		if empty && d.Findings[i].Code == "fragmented" {
			d.Findings[i].Advice = "it does no harm but for the time that backups and restores take. To give it back, defragment one member after the other, followers first, each healthy again before the next: " +
				"a member that is defragmented serves nobody meanwhile. Never all at once, and never beside a backup, which would freeze it until the backup has ended"
			d.Findings[i].Commands = d.defragment()
			break // the next ones are the same
		}
	}
}

// bytesText says a size in binary units.
func bytesText(n int64) string {
	value := float64(n)
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if value < 1024 {
			return fmt.Sprintf("%.1f %s", value, unit)
		}
		value /= 1024
	}
	return fmt.Sprintf("%.1f GiB", value)
}
