package sinks

// A Role is what a credential is for, and so all that it should be allowed.
type Role string

// The roles. None contains another: a pruner does not write backups, and only a writer does.
const (
	Writer   Role = "writer"   // backup, run: puts what is new, reads it back, cannot remove or replace
	Pruner   Role = "pruner"   // prune: reads and removes, cannot put
	Restorer Role = "restorer" // list, show, verify, restore, rehearse: reads, also what was overwritten
)

// Roles returns all roles.
func Roles() []Role { return []Role{Writer, Pruner, Restorer} }

// Restricted is a sink that knows how its store is told what a credential may do.
type Restricted interface {
	// Policy returns the least that a role needs on this sink and on nothing else, in the store's own language.
	Policy(role Role) string
}
