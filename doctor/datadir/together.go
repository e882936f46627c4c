package datadir

import (
	"fmt"
	"strings"

	"golang.org/x/mod/semver"
)

// Together compares directories that are said to be of one cluster.
func Together(dirs ...*Dir) []Finding {
	var found []Finding
	clusters := map[uint64][]string{}
	members := map[uint64][]string{}
	for _, d := range dirs {
		if d.ClusterID != 0 {
			clusters[d.ClusterID] = append(clusters[d.ClusterID], d.Path)
		}
		if d.MemberID != 0 {
			members[d.MemberID] = append(members[d.MemberID], d.Path)
		}
	}
	if len(clusters) > 1 {
		var all []string
		for _, d := range dirs {
			if d.ClusterID != 0 {
				all = append(all, fmt.Sprintf("%s is of cluster %s", d.Path, idText(d.ClusterID)))
			}
		}
		found = append(found, Finding{
			Code: TwoClusters, Severe: true, Detail: "the directories are not of one cluster: " + strings.Join(all, ", "),
			Advice: "find out which cluster is meant: a restore gives a cluster a new id, so an older directory may be of the time before it",
		})
	}
	for _, d := range dirs {
		if paths := members[d.MemberID]; len(paths) > 1 && paths[0] == d.Path {
			found = append(found, Finding{
				Code: SameMember, Severe: true, Detail: fmt.Sprintf("%s are of the same member, %s", strings.Join(paths, " and "), idText(d.MemberID)),
				Advice: "one is a copy of the other, or of an earlier time: use the one that knows more, and never start an etcd on both",
			})
		}
	}
	return found
}

// For tells what keeps an etcd of a version, such as 3.6 or 3.6.4, from starting on the directory: all that is severe, but of the
// left-overs of etcd 2 only what that version dies of; and a storage version that is newer.
func (d *Dir) For(version string) []Finding {
	var found []Finding
	v := "v" + strings.TrimPrefix(version, "v")
	for _, f := range d.Findings {
		concerns := f.Severe
		switch f.Code {
		case V2Leftovers:
			concerns = semver.Compare(v, "v3.7") >= 0
		case V2Content:
			concerns = semver.Compare(v, "v3.6") >= 0 && semver.Compare(v, "v3.7") < 0
		}
		if concerns {
			found = append(found, f)
		}
	}
	if is := "v" + d.StorageVersion; semver.IsValid(v) && semver.IsValid(is) && semver.Compare(semver.MajorMinor(is), semver.MajorMinor(v)) > 0 {
		found = append(found, Finding{
			Code: StorageVersion, Severe: true,
			Detail: fmt.Sprintf("etcd %s has written it: etcd %s is older, and refuses it", strings.TrimSuffix(d.StorageVersion, ".0"), version),
			Advice: "start the version that wrote it; to go back, `etcdctl downgrade enable` on the running cluster, or restore from a backup of before (lifeboat restore --accept-storage-version where only the mark is in the way)",
		})
	}
	return found
}
