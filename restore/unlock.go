package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// Who can open a backup is decided in the first kilobytes of its object, so that is looked at before gigabytes are fetched. A damaged header
// can look like one for somebody else: only where the manifest tells its digest, or to whom it is sealed, is "no key opens it" said
// at once; else the whole object is fetched, and its digest says which of the two it is.

// An Unlocking is the search for the file key of a backup.
type Unlocking struct {
	Entry      catalog.Entry
	Sinks      []catalog.Named // where headers and sidecars are read, those that hold the manifest first
	Identities []age.Identity
	Log        *slog.Logger

	sidecars []catalog.Sidecar
	looked   bool // for sidecars, and nothing failed
}

// Find reads headers until one can be opened, by itself or by a sidecar. Without a key the error is *crypto.NoIdentityError if that is
// certain, and *NoCopyError otherwise; or the context's cause.
func (u *Unlocking) Find(ctx context.Context) (*crypto.FileKey, error) {
	failed := &NoCopyError{ID: string(u.Entry.ID)}
	for _, s := range inOrder(u.Sinks, u.Entry.Sinks) {
		key, err := u.findIn(ctx, s)
		var none *crypto.NoIdentityError
		switch {
		case err == nil:
			return key, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.As(err, &none) && u.certain(none):
			return nil, fmt.Errorf("open backup %s: %w", u.Entry.ID, err)
		case errors.Is(err, fs.ErrNotExist) && !slices.Contains(u.Entry.Sinks, s.Name):
			continue // it never was here
		}
		failed.Copies = append(failed.Copies, &Copy{s.Name, err})
	}
	return nil, failed
}

func (u *Unlocking) findIn(ctx context.Context, s catalog.Named) (*crypto.FileKey, error) {
	body, err := s.Open(ctx, u.Entry.Manifest.Sealed.Key, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	h, err := crypto.ReadHeader(body, u.Entry.Manifest.Sealed.HeaderSHA256)
	if err != nil {
		return nil, err
	}
	return u.open(ctx, h)
}

// certain reports whether a header that nothing opens is what was stored, rather than a damaged one.
func (u *Unlocking) certain(none *crypto.NoIdentityError) bool {
	sealed := u.Entry.Manifest.Sealed
	if sealed.HeaderSHA256 != "" {
		return true // compared as it was read
	}
	known := len(none.Troubles) == 0 && slices.Equal(none.Stanzas, sealed.Stanzas)
	for _, fp := range none.Tried {
		known = known && fp != "" && !slices.Contains(sealed.Fingerprints, fp)
	}
	return known
}

// open opens a header; failing that, a sidecar that belongs to it.
func (u *Unlocking) open(ctx context.Context, h *crypto.Header) (*crypto.FileKey, error) {
	key, err := attempt(ctx, func() (*crypto.FileKey, error) { return h.Open(u.Identities) })
	var none *crypto.NoIdentityError
	if !errors.As(err, &none) {
		return key, err
	}
	none.Recipients = slices.Clone(u.Entry.Manifest.Sealed.Fingerprints)
	unread := u.bring(ctx)
	for _, side := range u.sidecars {
		if !slices.Contains(none.Recipients, side.Fingerprint) {
			none.Recipients = append(none.Recipients, side.Fingerprint)
		}
		key, err := attempt(ctx, func() (*crypto.FileKey, error) {
			return h.OpenSidecar(side.Data, catalog.SidecarName(u.Entry.Cluster, u.Entry.ID), u.Identities)
		})
		switch {
		case err == nil:
			return key, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !errors.Is(err, crypto.ErrNoIdentity):
			u.Log.Warn("sidecar cannot be used", "id", u.Entry.ID, "recipient", side.Fingerprint, "err", err)
		}
	}
	if unread != nil { // what opens it may be there
		return nil, fmt.Errorf("nothing given opens it by itself, and not all sidecars for later recipients can be read: %w", unread)
	}
	return nil, none
}

// bring reads the sidecars of every sink. Those of a recipient whose identity is at hand are asked for by name: however many others
// somebody has put beside them, they are found.
func (u *Unlocking) bring(ctx context.Context) error {
	if u.looked {
		return nil
	}
	var ours []string
	for _, id := range u.Identities {
		if r, ok := crypto.RecipientOf(id); ok {
			ours = append(ours, r.Fingerprint())
		}
	}
	u.sidecars = nil
	var failed []error
	for _, s := range inOrder(u.Sinks, u.Entry.Sinks) {
		found, err := catalog.Sidecars(ctx, s, u.Entry.Cluster, u.Entry.ID, ours...)
		failed = append(failed, err)
		u.sidecars = append(u.sidecars, found...)
	}
	err := errors.Join(failed...)
	u.looked = err == nil
	return err
}

// attempt does what may wait for a person who uses a plugin, and does not wait longer than the context.
func attempt(ctx context.Context, f func() (*crypto.FileKey, error)) (*crypto.FileKey, error) {
	type result struct {
		key *crypto.FileKey
		err error
	}
	got := make(chan result, 1)
	go func() {
		key, err := f()
		got <- result{key, err}
	}()
	select {
	case r := <-got:
		return r.key, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// unlock finds the file key before anything else is fetched, where that can be. What is unclear by then is left to the digest.
func (r *runner) unlock(ctx context.Context) error {
	if !r.plan.Source.encrypted() {
		return nil
	}
	r.unlocking = &Unlocking{Entry: *r.plan.Source.Entry, Sinks: r.Sinks, Identities: r.Identities, Log: r.Log}
	key, err := r.unlocking.Find(ctx)
	var unclear *NoCopyError
	switch {
	case errors.As(err, &unclear):
		r.Log.Debug("not unlocked before the fetch", "id", r.plan.Source.ID, "err", err)
		return nil
	case err != nil:
		return err
	}
	r.key = key
	return nil
}
