package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const clusterID = 0xc1

func midnight() time.Time { return time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC) }

// scene is a cluster whose members are written as one letter each: u up, d down, x denied, n never asked, s never started; in capitals a learner.
func scene(states string, quorum bool) Facts {
	f := Facts{Now: midnight(), Etcd: &Etcd{ClusterID: clusterID, Quorum: quorum}}
	for i, s := range states {
		n := i + 1
		m := snapshot.Member{
			Name: fmt.Sprintf("m%d", n), ID: uint64(n), PeerURLs: []string{fmt.Sprintf("https://10.0.0.%d:2380", n)},
			ClientURLs: []string{fmt.Sprintf("https://10.0.0.%d:2379", n)}, Learner: strings.ToUpper(string(s)) == string(s),
		}
		gone := &snapshot.EndpointError{Endpoint: m.ClientURLs[0], Kind: snapshot.ErrUnavailable, Err: errors.New("connection refused"), Absent: true}
		switch strings.ToLower(string(s)) {
		case "u":
			f.Etcd.Answered = append(f.Etcd.Answered, snapshot.Endpoint{
				URL: m.ClientURLs[0], MemberID: m.ID, Name: m.Name, Version: "3.6.16", Revision: 1000, Applied: 2000, Committed: 2000,
				HasLeader: quorum, Leader: quorum && n == 1, Learner: m.Learner, Quota: 8 << 30, DBSize: 1 << 20, DBSizeInUse: 1 << 20,
			})
			f.Etcd.Revision = 1000
		case "d":
			f.Etcd.Failed = append(f.Etcd.Failed, gone)
		case "x":
			gone.Absent, gone.Err, gone.Hint = false, errors.New("the server refuses client certificate"), "renew it"
			f.Etcd.Failed = append(f.Etcd.Failed, gone)
		case "s":
			m.Name, m.ClientURLs = "", nil
		}
		f.Etcd.Known = append(f.Etcd.Known, m)
	}
	return f
}

// withBackup adds a backup of the cluster as it was two hours ago.
func (f Facts) withBackup(revision int64) Facts {
	e := catalog.Entry{Manifest: catalog.Manifest{
		ID: "20261120T010000Z-r900-7f3a9c", Cluster: "prod", Started: midnight().Add(-2 * time.Hour), Finished: midnight().Add(-2 * time.Hour), Revision: revision,
		Lineage: catalog.Lineage{First: "20261120T010000Z-r900-7f3a9c", EtcdClusterID: clusterID}, Kubernetes: true, Quorum: true,
		Sealed: catalog.Sealed{Key: "x.age", Fingerprints: []string{"0123456789abcdef"}},
	}}
	for i := range 3 {
		e.Source.Members = append(e.Source.Members, catalog.Member{
			Name: fmt.Sprintf("m%d", i+1), PeerURLs: []string{fmt.Sprintf("https://10.0.0.%d:2380", i+1)}, ClientURLs: []string{fmt.Sprintf("https://10.0.0.%d:2379", i+1)},
		})
	}
	f.Backups = &Backups{Listing: catalog.Listing{Cluster: "prod", Entries: []catalog.Entry{e}}, Newest: &e, MaxAge: 24 * time.Hour}
	return f
}

// decide settles what Look would, and decides.
func decide(f Facts) Decision {
	f.settleMembers()
	f.planRestore("/nowhere/etcd-new")
	return Decide(f, Tools{
		Etcdctl: []string{"--cacert=/etc/etcd/my ca.crt"}, Lifeboat: []string{"--sink", "s3://bucket/etcd?region=x"}, NewDir: "/nowhere/etcd-new",
	})
}

func codes(d Decision) string {
	var all []string
	for _, o := range d.Options {
		all = append(all, o.Code)
	}
	return strings.Join(all, " ")
}

func TestEveryStateOfTheQuorumHasItsAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		facts   Facts
		verdict Verdict
		options string
		says    string
	}{
		"3/3":                                  {scene("uuu", true), Whole, "", "nothing to restore"},
		"2/3":                                  {scene("uud", true), MemberDown, "start replace", "do not restore"},
		"1/3":                                  {scene("udd", false), QuorumLost, "start survivor", "1 of 3 voting members answer, and it takes 2"},
		"1/3, a backup":                        {scene("udd", false).withBackup(900), QuorumLost, "start survivor backup", ""},
		"1/3, and the survivor is behind":      {scene("udd", false).withBackup(1100), QuorumLost, "start backup survivor", ""},
		"0/3":                                  {scene("ddd", false), AllDown, "start", "(2 are enough)"},
		"0/3, a backup":                        {scene("ddd", false).withBackup(900), AllDown, "start backup", ""},
		"4/5":                                  {scene("uuuud", true), MemberDown, "start replace", "quorum holds with 4 of 5"},
		"3/5":                                  {scene("uuudd", true), MemberDown, "start replace replace", "quorum holds with 3 of 5"},
		"2/5":                                  {scene("uuddd", false), QuorumLost, "start survivor", "it takes 3"},
		"quorum holds, and we reach one":       {scene("udd", true), MemberDown, "look", "only 1 of 3 voting members answer here: do not restore, and replace nobody"},
		"3/4":                                  {scene("uuud", true), MemberDown, "start replace", ""},
		"2/4":                                  {scene("uudd", false), QuorumLost, "start survivor", "2 of 4 voting members answer, and it takes 3"},
		"1/2":                                  {scene("ud", false), QuorumLost, "start survivor", "it takes 2"},
		"1/1":                                  {scene("u", true), Whole, "", "the one voting member"},
		"0/1":                                  {scene("d", false), AllDown, "start", ""},
		"a learner has no vote":                {scene("uuuU", true), Whole, "", "all 3 voting members"},
		"a learner that is down is not missed": {scene("uuuD", true), Whole, "", ""},
		"a learner does not make a quorum":     {scene("uddU", false), QuorumLost, "start survivor", "1 of 3"},
		"only a learner lives":                 {scene("dddU", false), QuorumLost, "start survivor", "0 of 3"},
		"all run, nobody leads":                {scene("uuu", false), Stuck, "look", "do not restore"},
		"enough run, nobody leads":             {scene("uud", false), Stuck, "look", "do not restore"},
		"one that does not let us in":          {scene("uux", true), MemberDown, "look", "look at the members that could not be seen"},
		"no quorum, and one that does not let us in": {scene("udx", false), QuorumLost, "start look survivor", ""},
		"nobody lets us in":                          {scene("xxx", false), Unknown, "look", "mend the access first"},
		"some are down and nobody lets us in":        {scene("ddx", false), Unknown, "look", "do not restore"},
		"one that was never started":                 {scene("uuus", true), MemberDown, "remove", "start or remove"},
		"one down and one that was never started":    {scene("uuuds", true), MemberDown, "start remove replace", ""},
		"one is not asked":                           {scene("uun", true), MemberDown, "look", ""},
		"no endpoint":                                {Facts{Now: midnight()}.withBackup(900), Unknown, "start backup", "give --endpoints"},
	} {
		d := decide(c.facts)
		if d.Verdict != c.verdict || codes(d) != c.options || !strings.Contains(d.Sentence, c.says) {
			t.Errorf("%s: %s, %s\n%s", name, d.Verdict, codes(d), d.Sentence)
		}
		if want := c.verdict == Whole; d.Healthy() != want {
			t.Errorf("%s: healthy is %v", name, d.Healthy())
		}
		for _, o := range d.Options {
			if restores := o.Code == "survivor" || o.Code == "backup"; restores && (d.Verdict == Whole || d.Verdict == MemberDown || d.Verdict == Stuck) {
				t.Errorf("%s: a restore is offered", name)
			}
			if o.Title == "" || o.Loses == "" || len(o.Steps) == 0 {
				t.Errorf("%s: %+v", name, o)
			}
		}
	}
}

func find(t *testing.T, d Decision, code string) Finding {
	t.Helper()
	i := slices.IndexFunc(d.Findings, func(f Finding) bool { return f.Code == code })
	if i < 0 {
		t.Fatalf("no finding %s among %+v", code, d.Findings)
	}
	return d.Findings[i]
}

func commandsOf(d Decision, code string) (all []string) {
	for _, o := range d.Options {
		if o.Code == code {
			for _, s := range o.Steps {
				all = append(all, s.Commands...)
			}
		}
	}
	return all
}

func TestOneMemberWaitsForNoOther(t *testing.T) {
	t.Parallel()
	for members, others := range map[string]bool{"d": false, "ddd": true} {
		text := fmt.Sprint(decide(scene(members, false).withBackup(900)).Options)
		if !strings.Contains(text, "certificates above all") || strings.Contains(text, "The first waits") != others || strings.Contains(text, "Every one prints") != others {
			t.Errorf("%s: %s", members, text)
		}
	}
}

func TestAMemberIsReplacedInTheRightOrder(t *testing.T) {
	t.Parallel()
	got := commandsOf(decide(scene("udu", true)), "replace")
	const etcdctl = `etcdctl '--cacert=/etc/etcd/my ca.crt' --endpoints=https://10.0.0.1:2379,https://10.0.0.3:2379`
	want := []string{
		etcdctl + " member remove 2",
		etcdctl + " member add m2 --peer-urls=https://10.0.0.2:2380 --learner",
		"etcd --name=m2 --data-dir=/nowhere/etcd-new/m2 --initial-cluster=m1=https://10.0.0.1:2380,m2=https://10.0.0.2:2380,m3=https://10.0.0.3:2380 --initial-cluster-state=existing " +
			"--initial-advertise-peer-urls=https://10.0.0.2:2380 --listen-peer-urls=https://10.0.0.2:2380 --advertise-client-urls=https://10.0.0.2:2379 --listen-client-urls=https://10.0.0.2:2379 --quota-backend-bytes=8589934592",
		"until " + etcdctl + ` member promote "$(` + etcdctl + ` member list -w simple | awk -F ', ' '$4 == "https://10.0.0.2:2380" { print $1 }')"; do sleep 2; done`,
	}
	if len(got) != 6 || !slices.Equal(got[:4], want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestACorruptMemberIsReplacedAndNeverTheSource: it answers, and what it answers cannot be trusted.
func TestACorruptMemberIsReplacedAndNeverTheSource(t *testing.T) {
	t.Parallel()
	corrupt := func(f Facts, ids ...uint64) Facts {
		for _, id := range ids {
			f.Etcd.Alarms = append(f.Etcd.Alarms, snapshot.Alarm{Kind: "CORRUPT", MemberID: id})
		}
		return f
	}
	d := decide(corrupt(scene("uuu", true), 2))
	got := commandsOf(d, "replace")
	if d.Verdict != MemberDown || codes(d) != "replace" || d.Healthy() || !strings.Contains(strings.Join(got, "\n"), " alarm disarm") || strings.Contains(got[0], "10.0.0.2:2379") {
		t.Errorf("%s %s\n%s", d.Verdict, codes(d), strings.Join(got, "\n"))
	}
	find(t, d, "alarm-corrupt")
	if d = decide(corrupt(scene("uuu", true), 1, 2)); codes(d) != "compare" {
		t.Errorf("most are corrupt, and the options are %s: %s", codes(d), d.Sentence)
	}
	lost := corrupt(scene("uuddd", false), 1)
	lost.Etcd.Answered[0].Revision = 5000
	if got := commandsOf(decide(lost), "survivor"); !strings.Contains(got[0], "--endpoints=https://10.0.0.2:2379 snapshot save") {
		t.Errorf("the corrupt member is the source: %s", got[0])
	}
	crossed := scene("uuu", true).withBackup(900)
	crossed.Backups.Listing.CrossCheck = &catalog.Report{Members: []catalog.MemberResult{{MemberID: 1, OK: true}, {MemberID: 3}}}
	if d = decide(crossed); codes(d) != "replace" || !strings.Contains(d.Sentence, "m3: it serves, and the last cross-check found its data different") {
		t.Errorf("%s: %s", codes(d), d.Sentence)
	}
}

func TestWhatARestoreLosesIsSaid(t *testing.T) {
	t.Parallel()
	d := decide(scene("udd", false).withBackup(900))
	o := d.Options[slices.IndexFunc(d.Options, func(o Option) bool { return o.Code == "backup" })]
	if d.Backup.Behind != 100 || o.Loses != "what was written in the last 2 h, which is 100 revisions at least" && o.Loses != "what was written in the last 120 min, which is 100 revisions at least" {
		t.Errorf("%+v: %s", d.Backup, o.Loses)
	}
	d = decide(scene("ddd", false).withBackup(900))
	if o := d.Options[1]; d.Backup.Behind != -1 || !strings.Contains(o.Loses, "nobody knows") {
		t.Errorf("%+v: %s", d.Backup, o.Loses)
	}
	other := scene("udd", false).withBackup(900)
	other.Etcd.ClusterID++
	if d := decide(other); d.Backup.Behind != -1 {
		t.Errorf("another cluster's revisions are compared: %+v", d.Backup)
	}
	got := commandsOf(d, "backup")
	want := "lifeboat restore 20261120T010000Z-r900-7f3a9c --member m2 --data-dir /nowhere/etcd-new/m2 --sink 's3://bucket/etcd?region=x'"
	if !slices.Contains(got, want) || len(got) != 3+3+2 {
		t.Errorf("got\n%s\nwant among them\n%s", strings.Join(got, "\n"), want)
	}
	if first := d.Options[1].Steps[0].Title; !strings.HasPrefix(first, "Stop every API server") {
		t.Errorf("a restore begins with %q", first)
	}
	if until := d.Options[1].Steps[2].Until; !strings.Contains(until, "0123456789abcdef") {
		t.Errorf("it is not said what opens the backup: %q", until)
	}
}

// TestCommandsShowWhereCertificatesGo: none was named, and nobody has seen that it goes without.
func TestCommandsShowWhereCertificatesGo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		states string
		flags  []string
		shown  bool
	}{
		"nobody answers":                {"ddd", nil, true},
		"nobody answers, and a name":    {"ddd", []string{"--user=root"}, true},
		"certificates are given":        {"ddd", []string{"--cacert=/etc/etcd/ca.crt"}, false},
		"one has answered without them": {"udd", nil, false},
	} {
		f := scene(c.states, false).withBackup(900)
		f.settleMembers()
		f.planRestore("/nowhere/etcd-new")
		got := strings.Join(commandsOf(Decide(f, Tools{Etcdctl: c.flags, NewDir: "/nowhere/etcd-new"}), "backup"), "\n")
		if !strings.Contains(got, "etcdctl ") || strings.Contains(got, " --cacert=/PATH/TO/ca.crt --cert=/PATH/TO/client.crt --key=/PATH/TO/client.key --endpoints=https://") != c.shown {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

func TestADataDirectoryIsWorthMoreThanAnOlderBackup(t *testing.T) {
	t.Parallel()
	f := scene("ddd", false).withBackup(900)
	f.Directories = []Directory{
		{Path: "/old/m1", Database: "/old/m1/member/snap/db", ClusterID: clusterID, Revision: 990},
		{Path: "/old/m2", Database: "/old/m2/member/snap/db", ClusterID: clusterID, Revision: 1200, InUse: true},
		{Path: "/old/m3", Database: "/old/m3/member/snap/db", ClusterID: clusterID, Revision: 1100, Findings: []DirectoryFinding{{Code: "db-damaged", Detail: "its pages do not fit together", Severe: true}}},
		{Path: "/old/m4", Database: "/old/m4/member/snap/db", ClusterID: clusterID, Revision: 1050, Findings: []DirectoryFinding{{Code: "wal-missing", Detail: "its log is gone", Severe: true}}},
	}
	d := decide(f)
	if first := d.Options[1].Title; !strings.Contains(first, "/old/m4, at revision 1050") { // a restore does not mind that its log is gone
		t.Errorf("what is furthest on is not the first: %s", first)
	}
	got := strings.Join(commandsOf(d, "directory"), "\n")
	if codes(d) != "start directory directory backup" || !strings.Contains(got, "cp /old/m1/member/snap/db /nowhere/etcd-new.raw.db") {
		t.Fatalf("%s\n%s", codes(d), got)
	}
	for _, m := range []string{"m1", "m2", "m3"} { // from the copy: under the old path every node has a database of its own
		if want := "lifeboat restore /nowhere/etcd-new.raw.db --raw --member " + m + " --data-dir /nowhere/etcd-new/" + m + " --initial-cluster m1="; !strings.Contains(got, want) {
			t.Errorf("%s\ndoes not hold %s", got, want)
		}
	}
	if d.Backup.Behind != 300 {
		t.Errorf("%d revisions behind", d.Backup.Behind)
	}
	if f := find(t, d, "db-damaged"); f.Severity != Critical || !strings.HasPrefix(f.Text, "/old/m3: ") {
		t.Errorf("%+v", f)
	}
	f.Directories = f.Directories[1:]
	if d := decide(f); d.Options[1].Code != "directory" || !strings.Contains(d.Options[1].Title, "/old/m4") || !strings.HasSuffix(d.Options[1].Loses, "; and its log is gone") {
		t.Errorf("%+v", d.Options)
	}
}
