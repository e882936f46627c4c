package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// A Copy is one sink's copy of the backup that could not be used, and why.
type Copy struct {
	Sink string
	Err  error // matches catalog.ErrDamaged, or is the sink's
}

func (c *Copy) Error() string { return c.Sink + ": " + c.Err.Error() }

func (c *Copy) Unwrap() error { return c.Err }

// A NoCopyError tells that no sink had a copy of the backup that is whole. It matches what every one of them failed with.
type NoCopyError struct {
	ID     string
	Copies []*Copy
}

func (e *NoCopyError) Error() string {
	var all []string
	for _, c := range e.Copies {
		all = append(all, c.Error())
	}
	if len(all) == 0 {
		return fmt.Sprintf("no sink to fetch backup %s from", e.ID)
	}
	return fmt.Sprintf("no whole copy of backup %s: %s", e.ID, strings.Join(all, "; "))
}

func (e *NoCopyError) Unwrap() []error {
	var all []error
	for _, c := range e.Copies {
		all = append(all, c)
	}
	return all
}

// Hint tells what else there is to try.
func (e *NoCopyError) Hint() string {
	return "`lifeboat verify` tells which backups are whole; restore the next older one with before:TIME"
}

// fetch brings a whole copy of the sealed object into dst from the first sink that has one, and says from which. Sinks that
// hold the manifest come first; any other may hold the object too.
func fetch(ctx context.Context, dst *os.File, e *catalog.Entry, sinks []catalog.Named, moved func(n int64), skip func(c *Copy)) (string, error) {
	failed := &NoCopyError{ID: string(e.ID)}
	queue := inOrder(sinks, e.Sinks)
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		err := fetchFrom(ctx, dst, e, s, moved)
		if err == nil {
			return s.Name, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		var local *os.PathError
		if errors.As(err, &local) && local.Path == dst.Name() {
			return "", err // our own disk: another sink would not help
		}
		if errors.Is(err, catalog.ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
			// Somebody may have overwritten or hidden it. Other sinks come first: an older version is a last resort.
			queue = append(queue, catalog.OlderPayloads(ctx, s, e.Manifest)...)
		}
		holder := slices.Contains(e.Sinks, s.Name)
		if !holder && errors.Is(err, fs.ErrNotExist) {
			continue // it never was here
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: the manifest is there, the object is missing: %w", catalog.ErrDamaged, err)
		}
		c := &Copy{s.Name, err}
		failed.Copies = append(failed.Copies, c)
		skip(c)
	}
	return "", failed
}

func inOrder(all []catalog.Named, first []string) []catalog.Named {
	var known, rest []catalog.Named
	for _, s := range all {
		if slices.Contains(first, s.Name) {
			known = append(known, s)
		} else {
			rest = append(rest, s)
		}
	}
	return append(known, rest...)
}

// fetchFrom reads one copy whole and compares its digest. Nothing has looked at what is in it until then.
func fetchFrom(ctx context.Context, dst *os.File, e *catalog.Entry, s catalog.Named, moved func(n int64)) error {
	want := e.Manifest.Sealed
	if err := dst.Truncate(0); err != nil {
		return err
	}
	d := &download{sink: s.Sink, key: want.Key, size: want.Size, dst: dst, how: ordinaryHaste(), moved: moved}
	sum, err := d.run(ctx)
	if err != nil {
		return err
	}
	if sum != want.SHA256 {
		return fmt.Errorf("%w: %s has the SHA-256 %s instead of %s", catalog.ErrDamaged, want.Key, sum, want.SHA256)
	}
	return nil
}
