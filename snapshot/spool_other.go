//go:build !linux

package snapshot

import "os"

func openUnnamed(dir string) (*os.File, error) { return openNamed(dir) }
