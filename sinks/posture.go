package sinks

import "context"

// A Finding is one thing that a bucket's settings do for backups, or fail to do.
type Finding struct {
	Name    string
	OK      bool   // nothing to say against it
	Unknown bool   // it could not be found out: this credential may not ask, or the store does not answer. OK is false then
	Detail  string // what is set, or what to do about it; one line
}

// Examined is a sink that can judge the place it keeps objects in. What it may not ask is a finding of its own, never a
// failure. It changes nothing.
type Examined interface {
	// Examine looks at what concerns keys beginning with prefix. It returns what it has when ctx ends.
	Examine(ctx context.Context, prefix string) []Finding
}
