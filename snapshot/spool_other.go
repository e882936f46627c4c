//go:build !linux

package snapshot

import "os"

func openUnnamed(dir string) (*os.File, error) { return openNamed(dir) }

// writeBack leaves it to the system.
func writeBack(*os.File, int64, int64) error { return nil }
