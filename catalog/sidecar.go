package catalog

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// A Sidecar holds the file key of a backup for a recipient that came later. What is in it is package crypto's business: it is signed by
// nobody, and whatever it says, the digests of the manifest decide what is accepted.
type Sidecar struct {
	Fingerprint string // of the recipient, by its name
	Data        []byte
}

// maxSidecars bounds how many sidecars of one backup are read from one sink: anybody who can write to it can put some there.
const maxSidecars = 256

// fingerprint is a recipient's, as package crypto makes it.
var fingerprint = regexp.MustCompile(`^[0-9a-f]{16}$`)

// SidecarName is the name of a backup inside its sidecars, by which each is bound to it.
func SidecarName(cluster string, id ID) string { return cluster + "/" + string(id) }

// PutSidecar writes a sidecar into one sink and reads it back. It does not look whether the backup exists. Another one for the same
// recipient matches fs.ErrExist. Errors are *Problem.
func PutSidecar(ctx context.Context, s Named, cluster string, id ID, fingerprint string, data []byte) error {
	return putNote(ctx, s, SidecarKey(cluster, id, fingerprint), id, data)
}

// ReadSidecar reads what lies in the place of a sidecar: of what is longer than a note may be, a little more than that. Errors are
// *Problem; one that is missing matches fs.ErrNotExist.
func ReadSidecar(ctx context.Context, s Named, cluster string, id ID, fingerprint string) ([]byte, error) {
	key := SidecarKey(cluster, id, fingerprint)
	data, err := getNote(ctx, s, key)
	if err != nil {
		return nil, &Problem{s.Name, key, id, err}
	}
	return data, nil
}

// SidecarFingerprints names the recipients a sink has sidecars for, sorted: maxSidecars at most.
func SidecarFingerprints(ctx context.Context, s Named, cluster string, id ID) (all []string, err error) {
	prefix := strings.TrimSuffix(SidecarKey(cluster, id, ""), ".age")
	for o, err := range s.List(ctx, prefix) {
		if err != nil {
			return nil, &Problem{s.Name, prefix, id, err}
		}
		fp, ok := strings.CutSuffix(strings.TrimPrefix(o.Key, prefix), ".age")
		if ok && fingerprint.MatchString(fp) {
			if all = append(all, fp); len(all) == maxSidecars {
				break
			}
		}
	}
	return all, nil
}

// Sidecars reads the sidecars of a backup in one sink: those of the recipients named first, then others, maxSidecars at most. One that
// cannot be read is told in the error, beside those that can.
func Sidecars(ctx context.Context, s Named, cluster string, id ID, first ...string) ([]Sidecar, error) {
	fps, err := SidecarFingerprints(ctx, s, cluster, id)
	failed := []error{err}
	var all []Sidecar
	seen := make(map[string]bool)
	for _, fp := range append(slices.Clone(first), fps...) {
		if seen[fp] {
			continue
		}
		seen[fp] = true
		key := SidecarKey(cluster, id, fp)
		data, err := getNote(ctx, s, key)
		switch {
		case errors.Is(err, fs.ErrNotExist): // not there, or removed since
		case err != nil:
			failed = append(failed, &Problem{s.Name, key, id, err})
		default:
			all = append(all, Sidecar{fp, data})
		}
	}
	return all, errors.Join(failed...)
}
