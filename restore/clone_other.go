//go:build !linux

package restore

import (
	"errors"
	"os"
)

func reflink(_, _ *os.File) error { return errors.ErrUnsupported }

func copyRange(dst, src *os.File, s span) error { return copyThroughMemory(dst, src, s) }
