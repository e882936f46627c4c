package doctor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// A findingCase is what is seen of a cluster, and what has to be found.
type findingCase struct {
	states   string
	change   func(*Facts)
	code     string
	severity Severity
	says     string
}

// hostCases are about certificates, clocks, alarms, space and progress.
func hostCases() map[string]findingCase {
	return map[string]findingCase{
		"our certificate ends": {"uuu", func(f *Facts) {
			f.Etcd.Certificates = []snapshot.Certificate{{File: "c.crt", NotAfter: midnight().AddDate(0, 0, 29)}}
		}, "certificate-expires", Warning, "our client certificate c.crt"},
		"our certificate has ended": {"uuu", func(f *Facts) {
			f.Etcd.Certificates = []snapshot.Certificate{{File: "c.crt", NotAfter: midnight().Add(-time.Second)}}
		}, "certificate-expired", Critical, "expired on 2026-11-20 02:59 UTC"},
		"a server's ends": {"uuu", func(f *Facts) {
			f.Etcd.Certificates = []snapshot.Certificate{{Endpoint: "https://m1:2379", NotAfter: midnight().AddDate(0, 0, 1)}}
		}, "certificate-expires", Warning, "the certificate of https://m1:2379"},
		"an authority ends": {"uuu", func(f *Facts) {
			f.Etcd.Certificates = []snapshot.Certificate{{Endpoint: "https://m1:2379", Authority: true, NotAfter: midnight().AddDate(0, 0, 1)}}
		}, "certificate-expires", Warning, "the authority"},
		"a clock is ahead":      {"uuu", func(f *Facts) { f.Etcd.Clocks = map[string]time.Duration{f.Etcd.Answered[1].URL: 5 * time.Second} }, "clock-skew", Warning, "m2 is 5s ahead of"},
		"a clock is behind":     {"uuu", func(f *Facts) { f.Etcd.Clocks = map[string]time.Duration{f.Etcd.Answered[1].URL: -time.Hour} }, "clock-skew", Warning, "m2 is 1h0m0s behind"},
		"no space":              {"uuu", func(f *Facts) { f.Etcd.Alarms = []snapshot.Alarm{{Kind: "NOSPACE", MemberID: 2}} }, "alarm-nospace", Critical, "of m2 has reached"},
		"corrupt, nobody named": {"uuu", func(f *Facts) { f.Etcd.Alarms = []snapshot.Alarm{{Kind: "CORRUPT"}} }, "alarm-corrupt", Critical, "cannot name"},
		"nearly full":           {"uuu", func(f *Facts) { f.Etcd.Answered[2].DBSize = 7 << 30 }, "quota", Warning, "m3 has 7.0 GiB of 8.0 GiB"},
		"nearly full, no quota": {"uuu", func(f *Facts) { f.Etcd.Answered[2].DBSize, f.Etcd.Answered[2].Quota = 2<<30, 0 }, "quota", Warning, "which it does not tell"},
		"fragmented":            {"uuu", func(f *Facts) { f.Etcd.Answered[0].DBSize, f.Etcd.Answered[0].DBSizeInUse = 1<<30, 100<<20 }, "fragmented", Note, "924.0 MiB hold nothing"},
		"lagging":               {"uuu", func(f *Facts) { f.Etcd.Answered[0].Applied = 9000 }, "lagging", Warning, "index 2000 of 9000"},
		"cut off":               {"uuu", func(f *Facts) { f.Etcd.Answered[2].HasLeader = false }, "no-leader", Critical, "m3 knows of no leader"},
	}
}

// memberCases are about who belongs to the cluster, and who votes.
func memberCases() map[string]findingCase {
	view := func(change func(m *snapshot.Member)) func(*Facts) {
		return func(f *Facts) {
			f.Etcd.Views = map[string][]snapshot.Member{}
			for i, e := range f.Etcd.Answered {
				all := slices.Clone(f.Etcd.Known)
				if i == 2 {
					change(&all[0])
				}
				f.Etcd.Views[e.URL] = all
			}
		}
	}
	return map[string]findingCase{
		"a learner in sync":     {"uuuU", func(*Facts) {}, "learner", Warning, "in sync"},
		"a learner not in sync": {"uuuU", func(f *Facts) { f.Etcd.Answered[3].Applied = 1000 }, "learner", Note, "still catching up"},
		"a learner down":        {"uuuD", func(*Facts) {}, "learner", Warning, "does not answer"},
		"never started":         {"uuuS", func(*Facts) {}, "unstarted", Warning, "never been started"},
		"learner or voter":      {"uuuU", func(f *Facts) { f.Etcd.Answered[3].Learner = false }, "learner-unclear", Critical, "has no vote, and it says itself that it has a vote"},
		"a zombie":              {"uuu", view(func(m *snapshot.Member) { m.ID = 99 }), "member-lists-differ", Critical, "do not list the same members"},
		"a removed member": {"uuu", func(f *Facts) {
			f.Etcd.Answered = append(f.Etcd.Answered, snapshot.Endpoint{URL: "https://old:2379", MemberID: 99, Version: "3.6.16", Applied: 2000, HasLeader: true})
		}, "not-a-member", Critical, "63 answers at https://old:2379"},
		"two voters": {"uu", func(*Facts) {}, "even-members", Note, "no more than 1 would"},
		"one voter":  {"u", func(*Facts) {}, "one-member", Note, "the loss of none"},
		"no spare":   {"uud", func(*Facts) {}, "no-spare", Warning, "not one more"},
	}
}

// versionCases are about known defects.
func versionCases() map[string]findingCase {
	versions := func(all ...string) func(*Facts) {
		return func(f *Facts) {
			for i, v := range all {
				f.Etcd.Answered[i].Version = v
			}
		}
	}
	return map[string]findingCase{
		"corrupting": {"uuu", versions("3.5.2"), "version-corrupts", Critical, "etcd 3.5.2 of m1"},
		"watches":    {"uuu", versions("3.5.17"), "version-watch", Warning, "m1"},
		"learners":   {"uuu", versions("3.5.19"), "version-learner", Warning, "m1"},
		"zombies":    {"uuu", versions("3.5.25"), "version-zombies", Warning, "m1"},
		"defrag":     {"uuu", versions("3.6.4", "3.6.4", "3.6.4"), "version-defrag", Warning, "m1, m2, m3"},
		"old":        {"uuu", versions("3.4.23", "3.4.23", "3.4.23"), "version-old", Warning, "gets no more corrections"},
		"mixed":      {"uuu", versions("3.5.30"), "versions-mixed", Warning, "3.5.30 on m1; 3.6.16 on m2, m3"},
	}
}

// backupCases are about what a restore would have.
func backupCases() map[string]findingCase {
	backup := func(change func(b *Backups)) func(*Facts) {
		return func(f *Facts) {
			*f = f.withBackup(900)
			e := *f.Backups.Newest
			f.Backups.Newest = &e
			change(f.Backups)
		}
	}
	return map[string]findingCase{
		"an old backup":      {"uuu", backup(func(b *Backups) { b.Newest.Started = midnight().Add(-25 * time.Hour) }), "backup-old", Warning, "25 h old"},
		"one recipient":      {"uuu", backup(func(*Backups) {}), "single-recipient", Warning, "0123456789abcdef"},
		"plain":              {"uuu", backup(func(b *Backups) { b.Newest.Manifest.Sealed.Key = "x.zst" }), "backup-plain", Warning, "not encrypted"},
		"what is not held":   {"uuu", backup(func(*Backups) {}), "not-held", Note, "sa.key"},
		"of another cluster": {"uuu", backup(func(b *Backups) { b.Newest.Lineage.EtcdClusterID = 7 }), "other-cluster", Warning, "(7)"},
		"set back":           {"uuu", backup(func(b *Backups) { b.Newest.Revision = 1001 }), "went-backwards", Critical, "at revision 1000, and was at 1001"},
		"what status says":   {"uuu", backup(func(b *Backups) { b.Findings = []Finding{{Code: "backup-suspect", Severity: Warning, Text: "SUSPECT"}} }), "backup-suspect", Warning, "SUSPECT"},
	}
}

// TestFindingsAreMadeOfWhatIsSeen has one scene for each, and a sound cluster has none.
func TestFindingsAreMadeOfWhatIsSeen(t *testing.T) {
	t.Parallel()
	if d := decide(scene("uuu", true)); len(d.Findings) != 0 {
		t.Fatalf("of a sound cluster: %+v", d.Findings)
	}
	for _, cases := range []map[string]findingCase{hostCases(), memberCases(), versionCases(), backupCases()} {
		for name, c := range cases {
			f := scene(c.states, true)
			c.change(&f)
			got := find(t, decide(f), c.code)
			if got.Severity != c.severity || !strings.Contains(got.Text, c.says) || got.Advice == "" && c.code != "backup-suspect" {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}

// TestCertificatesAreJudgedByWhatEtcdShows: the newest backup may be from before they were renewed.
func TestCertificatesAreJudgedByWhatEtcdShows(t *testing.T) {
	t.Parallel()
	for shown, want := range map[bool]int{true: 0, false: 1} {
		f := scene("uuu", true).withBackup(900)
		f.Backups.Findings = []Finding{{Code: "backup-certificate", Severity: Warning, About: AboutBackups, Text: "it expires"}}
		if shown {
			f.Etcd.Certificates = []snapshot.Certificate{{File: "c.crt", NotAfter: midnight().AddDate(1, 0, 0)}}
		}
		var told int
		for _, found := range decide(f).Findings {
			if found.Code == "backup-certificate" {
				told++
			}
		}
		if told != want {
			t.Errorf("etcd shows certificates %v: told %d times", shown, told)
		}
	}
}

func TestSoundVersionsAreLeftAlone(t *testing.T) {
	t.Parallel()
	for _, v := range []string{"3.5.26", "3.6.5", "3.7.0", "3.7.3"} {
		f := scene("uuu", true)
		for i := range f.Etcd.Answered {
			f.Etcd.Answered[i].Version = v
		}
		if d := decide(f); len(d.Findings) != 0 {
			t.Errorf("%s: %+v", v, d.Findings)
		}
	}
}

// TestRoomIsMadeOnOneMemberAfterTheOther: the leader comes last, and nothing is defragmented together.
func TestRoomIsMadeOnOneMemberAfterTheOther(t *testing.T) {
	t.Parallel()
	f := scene("uuu", true)
	f.Etcd.Alarms = []snapshot.Alarm{{Kind: "NOSPACE", MemberID: 2}}
	var short []string
	for _, c := range find(t, decide(f), "alarm-nospace").Commands {
		short = append(short, strings.TrimPrefix(c, "etcdctl '--cacert=/etc/etcd/my ca.crt' --endpoints="))
	}
	want := []string{
		"https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:2379 compact 1000",
		"https://10.0.0.2:2379 defrag", "https://10.0.0.3:2379 defrag", "https://10.0.0.1:2379 defrag",
		"https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:2379 alarm disarm",
	}
	if !slices.Equal(short, want) {
		t.Errorf("got\n%s", strings.Join(short, "\n"))
	}
}

func TestWhatIsUrgentComesFirst(t *testing.T) {
	t.Parallel()
	f := scene("uu", true).withBackup(900)
	f.Etcd.Alarms = []snapshot.Alarm{{Kind: "NOSPACE"}}
	d := decide(f)
	if len(d.Findings) < 4 || d.Findings[0].Code != "alarm-nospace" || d.Findings[len(d.Findings)-1].Severity != Note {
		t.Errorf("%+v", d.Findings)
	}
}
