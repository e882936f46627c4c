package doctor

import (
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
func LookInto(paths []string) func(ctx context.Context) ([]Directory, []Unseen) {
	return func(ctx context.Context) (all []Directory, shut []Unseen) {
		var seen []*datadir.Dir
		for _, path := range paths {
			dir, err := datadir.Inspect(ctx, path)
			if err != nil {
				shut = append(shut, Unseen{What: "data directory " + path, Reason: err.Error()})
				continue
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

// damagedDatabase is the finding with which nothing can be taken from a directory.
const damagedDatabase = datadir.DBDamaged

func severe(f DirectoryFinding) bool { return f.Severe }

// directory is the one that a restore can take most from. Its log need not be whole for that, but one without anything severe is
// preferred. What an etcd is at work on is that etcd's to tell.
func (d *decider) directory() (best Directory, found bool) {
	for _, dir := range d.Directories {
		broken := slices.ContainsFunc(dir.Findings, func(f DirectoryFinding) bool { return f.Code == damagedDatabase })
		if dir.InUse || broken || dir.Revision == 0 {
			continue
		}
		bad, worse := slices.ContainsFunc(dir.Findings, severe), slices.ContainsFunc(best.Findings, severe)
		if !found || worse && !bad || worse == bad && dir.Revision > best.Revision {
			best, found = dir, true
		}
	}
	return best, found
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
