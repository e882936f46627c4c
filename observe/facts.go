package observe

import "time"

// A Check is a way in which backups, or the cluster they are of, are looked at after they were made.
type Check string

// The checks. A deep verification is a verification, too.
const (
	Verify     Check = "verify"
	DeepVerify Check = "deep-verify"
	Rehearse   Check = "rehearse"
	CrossCheck Check = "cross-check"
)

// A Reason is why a backup does not continue the history of its cluster.
type Reason string

// The reasons. Other is for all that no later version of Lifeboat has given a name of its own.
const (
	ClusterID Reason = "cluster-id" // the id of the etcd cluster is another one
	Revision  Reason = "revision"   // the revision went back
	LiveKeys  Reason = "live-keys"  // more than half of the keys are gone
	Other     Reason = "other"
)

// A Role is what a certificate is for.
type Role string

// The roles of certificates.
const (
	Client Role = "client" // the one that backups are made with
	Server Role = "server" // those of the members
	CA     Role = "ca"     // those that signed one of the others
)

// checks, reasons and roles are all of their kind, in the order in which they are shown.
func checks() []Check   { return []Check{Verify, DeepVerify, Rehearse, CrossCheck} }
func reasons() []Reason { return []Reason{ClusterID, Revision, LiveKeys, Other} }
func roles() []Role     { return []Role{Client, Server, CA} }

// phases are the names of the steps of a rehearsal, and of all together. What a later version measures besides is "other".
func phases() []string {
	return []string{
		"total", "fetch", "open", "verify", "make-directories", "boot", "quorum", "checks", "with-bump", "upgrade", "apiserver", "list-objects", "other",
	}
}

// Facts are what the sinks tell of one cluster in one reading.
type Facts struct {
	Newest     *Backup // the newest that can be used, which is what `latest` means; nil if there is none
	Sinks      []Sink
	Restorable int // of the lineage that is current, whole in at least one sink
	Proven     int // of these, those with a deep verification or a rehearsal that passed

	Suspect    map[Reason]int // of lineages that are newer than the accepted one
	Frozen     int            // no rule of retention keeps them, but they stay for as long as a newer lineage is not accepted
	Hidden     int            // behind delete markers
	Unreadable int            // objects that could not be read or trusted
	Gaps       int            // predecessors that are not there

	Succeeded map[Check]time.Time // when each check last found nothing wrong; not there if it never did
	Failed    map[Check]bool      // whether it failed, and has not passed since

	Rehearsal    map[string]time.Duration // by phase, of the newest rehearsal that passed; nil if there is none
	Certificates map[Role]time.Time       // the earliest end of each role; nil if no backup tells

	RecipientsChanged bool
	Unsigned          bool            // keys are trusted, and what came last is signed by none of them
	Attention         map[string]bool // by code: what needs a person
}

// A Backup is what there is to know of the newest one.
type Backup struct {
	Time       time.Time // how old it is, counts from here
	Took       time.Duration
	Plain      int64 // bytes of the database
	Sealed     int64 // bytes of the object
	Revision   int64
	LiveKeys   int64
	Sequence   int64
	Quorum     bool
	ClockAhead time.Duration // the bucket's clock, ahead of the host's that made it
	Recipients int
}

// A Sink is what one sink holds of a cluster.
type Sink struct {
	Name    string // in the configuration
	Up      bool   // it could be read; if not, the numbers mean nothing
	Backups int
	Missing int // others have them, and this one does not
	Damaged int // copies without a whole payload
}

// A Plan is what the configuration wants for a cluster.
type Plan struct {
	BackupEvery time.Duration           // the longest time between two slots; 0 without a schedule
	CheckEvery  map[Check]time.Duration // the same, for those that have a schedule
	Floor       int                     // how many restorable backups retention always leaves
}
