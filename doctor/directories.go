package doctor

import "slices"

// A Directory is what was found in the data directory of a member.
type Directory struct {
	Path                                    string
	InUse                                   bool // an etcd works on it
	MemberID, ClusterID                     uint64
	Members                                 []DirectoryMember
	Removed                                 []uint64
	Revision, LiveKeys                      int64
	ConsistentIndex, Term, Commit, WALIndex uint64
	StorageVersion                          string
	Findings                                []DirectoryFinding
}

// A DirectoryMember is a member as a data directory lists it.
type DirectoryMember struct {
	ID                   uint64
	Name                 string
	PeerURLs, ClientURLs []string
	Learner              bool
}

// A DirectoryFinding is something about a data directory that a person should know. With a severe one etcd does not start on it, or
// starts and is wrong.
type DirectoryFinding struct {
	Code, Detail, Advice string
	Severe               bool
}

// damagedDatabase is the finding with which nothing can be taken from a directory.
const damagedDatabase = "db-damaged"

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
