package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// A RemoveError is a removal that did not come to its end.
type RemoveError struct {
	ID   ID
	Sink string
	// Stays says that the manifest is still there, or may be: so the backup is, whole. Otherwise it is gone, and what is left of it is
	// found by Orphans.
	Stays bool
	Err   error
}

func (e *RemoveError) Error() string {
	if e.Stays {
		return fmt.Sprintf("backup %s stays in %s: %v", e.ID, e.Sink, e.Err)
	}
	return fmt.Sprintf("backup %s is gone from %s, but something is left of it: %v", e.ID, e.Sink, e.Err)
}

func (e *RemoveError) Unwrap() error { return e.Err }

// hiddenDeletes is how many versions of a manifest are removed one after the other, before that looks like a store which removes nothing.
const hiddenDeletes = 20

// Remove makes a backup not exist in a sink: its manifest goes first, so that at no moment something is listed that is not whole; then
// the payload, its sidecars and reports, and its marks last. Whatever is missing already is no error, so an interrupted removal can be
// run again, or left to Orphans. Whether the backup may go is the caller's business. Errors are *RemoveError.
func Remove(ctx context.Context, s Named, e Entry) error {
	if err := removeManifest(ctx, s, e); err != nil {
		return &RemoveError{e.ID, s.Name, true, err}
	}
	errs := []error{s.Delete(ctx, e.Manifest.Sealed.Key)}
	for _, kind := range []string{"keys", "reports", "marks"} {
		errs = append(errs, removeAll(ctx, s, folder(e.Cluster, kind)+string(e.ID)+"/"))
	}
	if err := errors.Join(errs...); err != nil {
		return &RemoveError{e.ID, s.Name, false, err}
	}
	return nil
}

// removeManifest ends only when the manifest was seen to be gone. A delete that failed may have worked; and one that worked may have uncovered,
// in a versioned bucket, the text that somebody had overwritten.
func removeManifest(ctx context.Context, s Named, e Entry) error {
	key := ManifestKey(e.Cluster, e.ID)
	for range hiddenDeletes {
		deleted := s.Delete(ctx, key)
		r, err := s.Open(ctx, key, 0)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !errors.Is(err, sinks.ErrNoBucket):
			return nil
		case err == nil:
			_ = r.Close() // nothing was read
		}
		if err := errors.Join(deleted, err); err != nil {
			return err
		}
	}
	return &sinks.Error{Op: "delete", Sink: s.Name, Key: key, Err: errors.New("the store says that it is removed, and still has it")}
}

func removeAll(ctx context.Context, s Named, prefix string) error {
	var keys []string
	for o, err := range s.List(ctx, prefix) {
		if err != nil {
			return err
		}
		if !isCrossCheck(o.Key) { // of the cluster, and only filed here
			keys = append(keys, o.Key)
		}
	}
	var errs []error
	for _, key := range keys {
		errs = append(errs, s.Delete(ctx, key))
	}
	return errors.Join(errs...)
}
