package doctor

import (
	"cmp"
	"context"
	"slices"

	"github.com/lifeboat-dr/lifeboat/doctor/datadir"
)

// A Directory is what was found in the data directory of a member.
type Directory = datadir.Dir

// A DirectoryFinding is something about a data directory that a person should know. With a severe one etcd does not start on it, or
// starts and is wrong.
type DirectoryFinding = datadir.Finding

// LookInto gives what Places wants of data directories. What they contradict each other in stands with the first of them.
// With a version, severe is what keeps that etcd from starting on one.
func LookInto(paths []string, version string) func(ctx context.Context) ([]Directory, []Unseen) {
	return func(ctx context.Context) (all []Directory, shut []Unseen) {
		var seen []*datadir.Dir
		for _, path := range paths {
			dir, err := datadir.Inspect(ctx, path)
			if err != nil {
				shut = append(shut, Unseen{What: "data directory " + path, Reason: err.Error()})
				continue
			}
			if version != "" {
				aim(dir, version)
			}
			seen = append(seen, dir)
		}
		for i, dir := range seen {
			if i == 0 {
				dir.Findings = append(dir.Findings, datadir.Together(seen...)...)
			}
			all = append(all, *dir)
		}
		return all, shut
	}
}

// aim makes severe what keeps an etcd of a version from starting on the directory, and nothing else.
func aim(dir *Directory, version string) {
	against := dir.For(version)
	for i, f := range dir.Findings {
		dir.Findings[i].Severe = slices.ContainsFunc(against, func(a DirectoryFinding) bool { return a.Code == f.Code && a.Detail == f.Detail })
	}
	for _, a := range against {
		if !dir.Has(a.Code) {
			dir.Findings = append(dir.Findings, a)
		}
	}
}

// damagedDatabase is the finding with which nothing can be taken from a directory.
const damagedDatabase = datadir.DBDamaged

func severe(f DirectoryFinding) bool { return f.Severe }

// directoriesToUse are those that a restore can take most from: the one that is furthest on and, if something severe stands against it,
// which a restore need not mind, the furthest of those without. One of another cluster is there only for want of this one's. What an
// etcd is at work on is that etcd's to tell, and a member that differs from the others is no source.
func (d *decider) directoriesToUse() (all []Directory) {
	var usable []Directory
	for _, dir := range d.Directories {
		broken := slices.ContainsFunc(dir.Findings, func(f DirectoryFinding) bool { return f.Code == damagedDatabase })
		if !dir.InUse && !broken && dir.Revision != 0 && !slices.Contains(d.bad, dir.MemberID) {
			usable = append(usable, dir)
		}
	}
	order := func(dir Directory) int {
		switch bad := slices.ContainsFunc(dir.Findings, severe); {
		case d.foreign(dir.ClusterID):
			return 2
		case bad:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(usable, func(a, b Directory) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(b.Revision, a.Revision))
	})
	for _, dir := range usable {
		if len(all) == 0 || order(dir) == 1 && order(all[0]) == 0 && len(all) == 1 && dir.Revision > all[0].Revision {
			all = append(all, dir)
		}
	}
	return all
}

// directories passes on what was found in data directories.
func (d *decider) directories() {
	for _, dir := range d.Directories {
		for _, f := range dir.Findings {
			severity := Warning
			if f.Severe {
				severity = Critical
			}
			d.find(f.Code, severity, f.Advice, nil, "%s: %s", dir.Path, f.Detail)
		}
	}
}
