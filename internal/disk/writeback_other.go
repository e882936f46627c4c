//go:build !linux

package disk

import (
	"errors"
	"os"
)

func beginWriting(*os.File, int64, int64) error { return errors.ErrUnsupported }

func awaitWriting(*os.File, int64, int64) error { return errors.ErrUnsupported }

func uncache(*os.File, int64, int64) {}
