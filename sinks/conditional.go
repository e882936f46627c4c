package sinks

// Conditional is a sink that knows whether its store can be told to write only what is not there yet. One that does not say so can.
type Conditional interface {
	Conditional() bool
}
