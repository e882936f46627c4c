package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Named is a sink under the name by which people know it: its URL.
type Named struct {
	Name string
	sinks.Sink
}

// Commit makes a backup exist in a sink: it creates the manifest and reads it back. data is what Encode made; the payload must be there
// and proved before. An error whose cause is unclear (a lost answer) and an existing manifest are settled by looking: the same bytes
// mean success. A different manifest under the id matches fs.ErrExist.
func Commit(ctx context.Context, s Named, data []byte) error {
	m, _, err := Decode(data, Trust{})
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := putNote(ctx, s, ManifestKey(m.Cluster, m.ID), m.ID, data); err != nil {
		return fmt.Errorf("commit %s: %w", m.ID, err)
	}
	return nil
}

// getNote reads a note whole. Of a longer one than notes can be there is just enough to tell that, which openNote does: only it knows
// whether that is damage or forgery.
func getNote(ctx context.Context, s Named, key string) ([]byte, error) {
	r, err := s.Open(ctx, key, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxNote+1))
}

// VerifyDigest reads a backup's payload in a sink from end to end and compares size and digest with the manifest. A missing payload is
// damage. Errors are *Problem: ErrDamaged, also where an older version of the payload is whole, which is told; or the sink's.
// progress, which may be nil, is told how many bytes of how many were read.
func VerifyDigest(ctx context.Context, s Named, m Manifest, progress func(done, total int64)) error {
	err := fetchPayload(ctx, s, m, io.Discard, progress)
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	if at, ok := WholeVersion(ctx, s, m); ok {
		return &Problem{s.Name, m.Sealed.Key, m.ID, fmt.Errorf("%w; somebody has overwritten or hidden it, and restore takes what it was before, which is whole: %s", errors.Unwrap(err), at.Name)}
	}
	return err
}

// fetchPayload reads a payload and gives it to a writer, whose errors are returned as they are. What was written is the payload only
// if nil is returned.
func fetchPayload(ctx context.Context, s Named, m Manifest, to io.Writer, progress func(done, total int64)) error {
	fail := func(err error) error { return &Problem{s.Name, m.Sealed.Key, m.ID, err} }
	r, err := s.Open(ctx, m.Sealed.Key, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(fmt.Errorf("%w: it is missing", ErrDamaged))
	}
	if err != nil {
		return fail(err)
	}
	defer r.Close()
	hash := sha256.New()
	var done int64
	buf := make([]byte, 256<<10)
	for {
		n, err := r.Read(buf)
		_, _ = hash.Write(buf[:n]) // never fails
		done += int64(n)
		if progress != nil && n > 0 {
			progress(done, m.Sealed.Size)
		}
		if done > m.Sealed.Size {
			return fail(fmt.Errorf("%w: it is longer than the %d bytes it had", ErrDamaged, m.Sealed.Size))
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fail(err)
		}
	}
	if done < m.Sealed.Size {
		return fail(fmt.Errorf("%w: it has %d bytes instead of %d", ErrDamaged, done, m.Sealed.Size))
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != m.Sealed.SHA256 {
		return fail(fmt.Errorf("%w: its sha256 is %s instead of %s", ErrDamaged, got, m.Sealed.SHA256))
	}
	return nil
}
