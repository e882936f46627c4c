// Package catalog knows what lies in the bucket: the names of things, the manifest that makes a backup exist, what was decided
// about it later, and which backups belong to one history.
//
// It refuses manifests it cannot vouch for where a key is trusted, never aborts a listing for one bad object, and never takes
// the backups of a wiped or foreign cluster for the continuation of the ones before.
package catalog

import (
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// root begins every key of format 1. What stands before it is the sink's own prefix.
const root = "v1/"

// idTime is the layout of the time in an ID: plain listing order is time order.
const idTime = "20060102T150405Z"

// eventTime is the layout of the time in the names of marks and reports, of which several may be made in a second.
const eventTime = "20060102T150405.000000Z"

// An ID names a backup by its start (UTC), the revision it holds and a random suffix: 20261120T145000Z-r123456-7f3a9c.
// IDs of one cluster sort by time as strings.
type ID string

// NewID makes the ID of a backup; random gives the suffix (crypto/rand.Reader).
func NewID(start time.Time, revision int64, random io.Reader) (ID, error) {
	var suffix [3]byte
	if _, err := io.ReadFull(random, suffix[:]); err != nil {
		return "", fmt.Errorf("make backup id: %w", err)
	}
	return ParseID(fmt.Sprintf("%s-r%d-%x", start.UTC().Format(idTime), revision, suffix))
}

// ParseID accepts exactly the IDs that NewID makes.
func ParseID(s string) (ID, error) {
	if _, _, ok := splitID(s); !ok {
		return "", fmt.Errorf("%.80q is not a backup id, which reads like 20261120T145000Z-r123456-7f3a9c", s)
	}
	return ID(s), nil
}

// Time returns the start of the backup, to the second; the zero time if the ID is not valid.
func (id ID) Time() time.Time {
	t, _, _ := splitID(string(id))
	return t
}

// Revision returns the etcd revision in the name; 0 if the ID is not valid.
func (id ID) Revision() int64 {
	_, r, _ := splitID(string(id))
	return r
}

func splitID(s string) (start time.Time, revision int64, ok bool) {
	stamp, rest, ok1 := strings.Cut(s, "-r")
	number, suffix, ok2 := strings.Cut(rest, "-")
	if !ok1 || !ok2 || len(suffix) != 6 || strings.Trim(suffix, "0123456789abcdef") != "" {
		return time.Time{}, 0, false
	}
	start, err := time.Parse(idTime, stamp)
	if err != nil || start.Format(idTime) != stamp {
		return time.Time{}, 0, false
	}
	revision, err = strconv.ParseInt(number, 10, 64)
	if err != nil || revision < 1 || strconv.FormatInt(revision, 10) != number {
		return time.Time{}, 0, false
	}
	return start, revision, true
}

// clusterName is what a cluster may be called: it is a part of keys and of metrics' labels.
var clusterName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// CheckCluster says what is wrong with a cluster's name; the error matches ErrUsage.
func CheckCluster(name string) error {
	if !clusterName.MatchString(name) {
		return usagef("cluster name %.80q: must be 1 to 63 letters, digits, dots, dashes or underscores, with a letter or digit at both ends", name)
	}
	return nil
}

// SealedKey returns the key of a backup's payload.
func SealedKey(cluster string, id ID, encrypted bool) string {
	key := root + cluster + "/snapshots/" + string(id) + ".db.zst"
	if encrypted {
		key += ".age"
	}
	return key
}

// ManifestKey returns the key of a backup's commit record.
func ManifestKey(cluster string, id ID) string { return manifests(cluster) + string(id) + ".note" }

// MarkKey returns the key of something decided about a backup at a time (UTC is taken, to the microsecond).
func MarkKey(cluster string, id ID, at time.Time, kind MarkKind) string {
	return marks(cluster) + string(id) + "/" + at.UTC().Format(eventTime) + "-" + string(kind) + ".note"
}

// ReportKey returns the key of a report on a backup; kind tells what was done: verify, verify-deep, verify-unopened, rehearse, cross-check, delivery.
func ReportKey(cluster string, id ID, at time.Time, kind string) string {
	return reports(cluster) + string(id) + "/" + at.UTC().Format(eventTime) + "-" + kind + ".note"
}

// SidecarKey returns the key of the file key of a backup for a recipient that came later.
func SidecarKey(cluster string, id ID, fingerprint string) string {
	return root + cluster + "/keys/" + string(id) + "/" + fingerprint + ".age"
}

func manifests(cluster string) string { return root + cluster + "/manifests/" }

func marks(cluster string) string { return root + cluster + "/marks/" }

func reports(cluster string) string { return root + cluster + "/reports/" }

// parseManifestKey undoes ManifestKey for keys that begin with manifests(cluster).
func parseManifestKey(cluster, key string) (ID, error) {
	name, ok := strings.CutSuffix(strings.TrimPrefix(key, manifests(cluster)), ".note")
	if !ok {
		return "", fmt.Errorf("%w: not the name of a manifest", ErrDamaged)
	}
	id, err := ParseID(name)
	if err != nil {
		return "", fmt.Errorf("%w: not the name of a manifest: %w", ErrDamaged, err)
	}
	return id, nil
}

// parseMarkKey undoes MarkKey for keys that begin with marks(cluster).
func parseMarkKey(cluster, key string) (id ID, at time.Time, kind MarkKind, err error) {
	dir, name, _ := strings.Cut(strings.TrimPrefix(key, marks(cluster)), "/")
	name, isNote := strings.CutSuffix(name, ".note")
	stamp, rest, _ := strings.Cut(name, "-")
	kind = MarkKind(rest)
	id, err = ParseID(dir)
	if err == nil {
		at, err = time.Parse(eventTime, stamp)
	}
	if err != nil || !isNote || !kind.known() || MarkKey(cluster, id, at, kind) != key {
		return "", time.Time{}, "", fmt.Errorf("%w: not the name of a mark", ErrDamaged)
	}
	return id, at, kind, nil
}

// isSHA256 reports whether s is a SHA-256 in lower-case hex.
func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && strings.ToLower(s) == s
}
