//go:build !linux

package peak

// written is not to be had here: the command is waited for by its caller.
func written(int) int64 { return 0 }
