package doctor

import (
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/doctor/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// TestWhatIsOfAnotherClusterComesLast offers what belongs to the cluster that answers first, however high the revisions of another one are.
func TestWhatIsOfAnotherClusterComesLast(t *testing.T) {
	t.Parallel()
	f := scene("udd", false).withBackup(900000)
	f.Backups.Newest.Lineage.EtcdClusterID = 7
	d := decide(f)
	if codes(d) != "start survivor backup" || !strings.Contains(d.Options[2].Loses, "it is of another (7)") {
		t.Errorf("%s\n%+v", codes(d), d.Options)
	}
	f.Directories = []Directory{{Path: "/old/foreign", ClusterID: 8, Revision: 800000}, {Path: "/old/m2", ClusterID: clusterID, MemberID: 2, Revision: 990}}
	d = decide(f)
	if got := strings.Join(commandsOf(d, "directory"), "\n"); codes(d) != "start survivor directory backup" || strings.Contains(got, "/old/foreign") {
		t.Errorf("%s\n%s", codes(d), got)
	}
	f.Directories = f.Directories[:1]
	if d := decide(f); codes(d) != "start survivor backup directory" || !strings.Contains(d.Options[3].Loses, "it is of another (8)") {
		t.Errorf("%s\n%+v", codes(d), d.Options)
	}
}

// TestAMemberThatDiffersIsNoSourceByItsDirectoryEither also covers a member that is down, and whose directory is at hand.
func TestAMemberThatDiffersIsNoSourceByItsDirectoryEither(t *testing.T) {
	t.Parallel()
	f := scene("udd", false).withBackup(900)
	f.Etcd.Alarms = append(f.Etcd.Alarms, snapshot.Alarm{Kind: alarmCorrupt, MemberID: 2})
	f.Directories = []Directory{{Path: "/old/m2", ClusterID: clusterID, MemberID: 2, Revision: 5000}}
	if d := decide(f); codes(d) != "start survivor backup" {
		t.Errorf("%s", codes(d))
	}
}

// TestTheMembersAreThoseOfTheDirectoryThatIsFurthestOn, not of the one that was named first: it may be years old.
func TestTheMembersAreThoseOfTheDirectoryThatIsFurthestOn(t *testing.T) {
	t.Parallel()
	member := func(names ...string) (all []datadir.Member) {
		for i, n := range names {
			all = append(all, datadir.Member{ID: uint64(i + 1), Name: n, PeerURLs: []string{"https://" + n + ":2380"}})
		}
		return all
	}
	f := Facts{Now: midnight(), Directories: []Directory{
		{Path: "/old/a", ClusterID: clusterID, Revision: 100, Members: member("a", "gone")},
		{Path: "/old/b", ClusterID: clusterID, Revision: 900, Members: member("a", "b", "c")},
	}}
	if got := strings.Join(commandsOf(decide(f), "directory"), "\n"); !strings.Contains(got, "a=https://a:2380,b=https://b:2380,c=https://c:2380") || strings.Contains(got, "gone") {
		t.Error(got)
	}
}

// TestAClusterThatWasSetBackIsNotCalledWell although each of its members serves.
func TestAClusterThatWasSetBackIsNotCalledWell(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Facts){
		"set back":                 func(f *Facts) { f.Backups.Newest.Revision = 1001 },
		"another took its address": func(f *Facts) { f.Backups.Newest.Lineage.EtcdClusterID = 7 },
	} {
		f := scene("uuu", true).withBackup(900)
		change(&f)
		if d := decide(f); strings.HasSuffix(d.Sentence, "there is nothing to restore") || len(d.Options) != 0 {
			t.Errorf("%s: %s %s", name, d.Sentence, codes(d))
		}
	}
}

// TestQuorumMayBeWhereNobodyLooked is said before anything is restored: the side that answers may be the one that is cut off.
func TestQuorumMayBeWhereNobodyLooked(t *testing.T) {
	t.Parallel()
	d := decide(scene("udd", false))
	if got := d.Options[0].Steps[0].Until; !strings.Contains(got, "what answers here is what is cut off") {
		t.Error(got)
	}
}

// TestNoNameLeadsOutOfTheDirectory, nor makes two members one: etcd takes any name, and the same twice.
func TestNoNameLeadsOutOfTheDirectory(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../../etc/etcd", "..", "-rf", "a,b=http://c:1", "m2", "$(reboot)", "m\r\x1b[2Jx"} {
		for states, way := range map[string]string{"uud": "replace", "ddu": "survivor", "udd": "survivor"} {
			f := scene(states, way == "replace")
			f.Etcd.Known[2].Name = name
			d := decide(f)
			got := strings.Join(commandsOf(d, way), "\n")
			if got == "" && way == "replace" || name != "m2" && strings.Contains(got, name) || strings.Count(got, "m2=https://10.0.0.3:2380") > 0 {
				t.Errorf("%q, %s:\n%s", name, states, got)
			}
			if strings.Contains(got, "lifeboat restore") {
				t.Errorf("%q, %s: restore cannot make these members:\n%s", name, states, got)
			}
			if way == "replace" && !strings.Contains(got, "--name=3 --data-dir=/nowhere/etcd-new/3 ") {
				t.Errorf("%q is not replaced under a name that can be used:\n%s", name, got)
			}
		}
	}
}
