package gcs

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Checksum implements [sinks.Checksummed]: Google keeps a CRC32C of all bytes of every object, however it was put.
func (s *Sink) Checksum(ctx context.Context, key string) (sinks.Checksum, error) {
	op := s.operation("checksum", key)
	if err := errors.Join(sinks.CheckKey(key), ctx.Err()); err != nil {
		return sinks.Checksum{}, op.fail(err)
	}
	ctx = op.mark(ctx)
	found, err := op.object().Attrs(ctx)
	switch {
	case status(err) == http.StatusNotFound:
		if gone := op.noBucket(ctx); gone != nil {
			err = gone
		}
	case err == nil && found.CRC32C == 0 && found.Size > 0: // an emulator that leaves it out
		err = sinks.NoChecksum()
	}
	if err != nil {
		return sinks.Checksum{}, op.fail(err)
	}
	return sinks.Checksum{Size: found.Size, Algorithm: sinks.CRC32C, Sum: binary.BigEndian.AppendUint32(nil, found.CRC32C)}, nil
}
