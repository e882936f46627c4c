package doctor

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

// A DirectoryFinding is something about a data directory that a person should know; a severe one keeps etcd or a restore from using it.
type DirectoryFinding struct {
	Code, Detail string
	Severe       bool
}
