package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

// InspectOptions are the wishes of Inspect's caller.
type InspectOptions struct {
	// Raw is for a member/snap/db as it lies in a data directory, which has no SHA-256 trailer and so no content check at all.
	Raw bool
	// SkipDigest leaves out reading the whole file for its SHA-256, for a caller who has the digest from Save. SHA256 and
	// TrailerOK are then left empty.
	SkipDigest bool
	// HashAt says where to compute the hash: nil is the file's head, at its own compact revision.
	HashAt *HashPoint
	// Prefixes counts the live keys by Prefix.
	Prefixes bool
	// SharesLock is for a file that another process has open for writing, which got it from the same *os.File: the lock of the two is one, so that neither
	// waits for the other's. It stays on f.
	SharesLock bool
	// HeadOnly is Head's own wish: Revision and what else needs one look, and no check at all.
	HeadOnly bool
}

// A HashPoint is what a Hash is asked for by.
type HashPoint struct {
	Revision        int64 `json:"revision"`
	CompactRevision int64 `json:"compact_revision"`
}

// Info is what a snapshot file holds.
type Info struct {
	Size      int64  `json:"size"`   // bytes, the trailer included
	SHA256    string `json:"sha256"` // hex, of the whole file
	TrailerOK bool   `json:"trailer_ok"`

	Revision        int64 `json:"revision"`
	CompactRevision int64 `json:"compact_revision"` // -1: never compacted
	LiveKeys        int64 `json:"live_keys"`
	Records         int64 `json:"records"` // versions of keys, tombstones among them
	Hash            Hash  `json:"hash"`

	StorageVersion  string `json:"storage_version"` // "" is etcd 3.4 or older
	ClusterVersion  string `json:"cluster_version"`
	Term            uint64 `json:"term"`
	ConsistentIndex uint64 `json:"consistent_index"`

	Kubernetes          bool             `json:"kubernetes"`
	EncryptionProviders []EncryptionKey  `json:"encryption_providers,omitempty"`
	Prefixes            map[string]int64 `json:"prefixes,omitempty"`

	Alarms      []string `json:"alarms,omitempty"`
	AuthEnabled bool     `json:"auth_enabled"`
	Leases      int64    `json:"leases"`
	Members     []Member `json:"members,omitempty"`

	PageSize  int   `json:"page_size"` // bytes
	Pages     int64 `json:"pages"`
	FreePages int64 `json:"free_pages"`
}

// Fresh returns an error matching ErrStale if the file lacks writes that were acknowledged before r0 was read.
func (i *Info) Fresh(r0 int64) error {
	if i.Revision >= r0 {
		return nil
	}
	return &kindError{ErrStale, fmt.Errorf("the snapshot is at revision %d, the cluster was at %d before it began", i.Revision, r0)}
}

// Inspect checks a snapshot file and tells what is in it: the digest here, everything that needs bbolt in a child process, both
// at the same time. The file is only read, by ReadAt and through a mapping; the offset of f does not move.
//
// A file that is not whole, and one that kills the child, is ErrDamaged. What happens to the child for other reasons (killed for
// lack of memory, ctx) is not.
func Inspect(ctx context.Context, f *os.File, o InspectOptions) (*Info, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("inspect snapshot: %w", err)
	}
	if err := checkShape(st.Size(), o.Raw); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	type digested struct {
		sum string
		err error
	}
	digests := make(chan digested, 1)
	go func() {
		if o.SkipDigest {
			digests <- digested{}
			return
		}
		sum, err := digest(ctx, f, st.Size(), o.Raw)
		if err != nil {
			cancel(err) // no need to look into a file that is known to be wrong
		}
		digests <- digested{sum, err}
	}()
	info, err := inspectInChild(ctx, f, o)
	if err != nil && !errors.Is(err, ErrDamaged) {
		cancel(err)
	}
	d := <-digests
	if d.err != nil && !errors.Is(d.err, context.Canceled) {
		return nil, d.err
	}
	if err != nil {
		return nil, err
	}
	info.Size, info.SHA256, info.TrailerOK = st.Size(), d.sum, !o.Raw && !o.SkipDigest
	return info, nil
}

// Head tells the revision of a snapshot file at once, and checks nothing: Inspect may find the file damaged all the same, and another
// revision only if it was changed meanwhile. Errors are those of Inspect.
func Head(ctx context.Context, f *os.File) (revision int64, err error) {
	info, err := inspectInChild(ctx, f, InspectOptions{HeadOnly: true})
	if err != nil {
		return 0, err
	}
	return info.Revision, nil
}

// HasDigest tells by its size, as etcdutl does, whether a file ends with etcd's SHA-256, which follows the pages in a snapshot and not in a raw database.
func HasDigest(size int64) bool { return size > trailerSize && size%512 == trailerSize }

// checkShape tells a snapshot from a raw database by its size.
func checkShape(size int64, raw bool) error {
	switch {
	case size == 0:
		return damaged("the file is empty")
	case raw && HasDigest(size):
		return damaged("the file of %d bytes has the size of a snapshot, whole pages and a SHA-256: it is one, or was cut short", size)
	case raw && size%512 != 0:
		return damaged("the file of %d bytes is no whole number of pages", size)
	case !raw && size%512 == 0:
		return damaged("the file of %d bytes has no SHA-256 at its end: it is cut short, or a raw database", size)
	case !raw && !HasDigest(size):
		return damaged("the file of %d bytes is cut short: it is no whole number of pages and a SHA-256", size)
	}
	return nil
}

// digest reads the whole file once: its SHA-256 in hex, and an error if its trailer is not that of what comes before.
func digest(ctx context.Context, f io.ReaderAt, size int64, raw bool) (string, error) {
	h := sha256.New()
	buf := make([]byte, 1<<20)
	body := size
	if !raw {
		body -= trailerSize
	}
	for off := int64(0); off < body; off += int64(len(buf)) {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		part := buf[:min(int64(len(buf)), body-off)]
		if n, err := f.ReadAt(part, off); n < len(part) {
			return "", fmt.Errorf("read snapshot: %w", err)
		}
		h.Write(part)
	}
	if !raw {
		tail := buf[:trailerSize]
		if n, err := f.ReadAt(tail, body); n < len(tail) {
			return "", fmt.Errorf("read snapshot: %w", err)
		}
		if !bytes.Equal(h.Sum(nil), tail) {
			return "", damaged("the file does not match the SHA-256 at its end")
		}
		h.Write(tail)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// verdict is what the child says: one of the four.
type verdict struct {
	Info     *Info  `json:"info,omitempty"`
	Damaged  string `json:"damaged,omitempty"`
	Revision string `json:"revision,omitempty"` // why there is no hash at the wanted one
	Failed   string `json:"failed,omitempty"`

	doubtful bool // within the child: it may not be the check that took the memory
}

func inspectInChild(ctx context.Context, f *os.File, o InspectOptions) (*Info, error) {
	args, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("inspect snapshot: %w", err)
	}
	ask := func(args ...string) ([]byte, error) {
		cmd := child.Command(ctx, InspectRoleName, args...)
		cmd.ExtraFiles = []*os.File{f}
		return child.Answer(ctx, cmd)
	}
	out, err := ask(string(args))
	var crash *child.Crash
	if errors.As(err, &crash) {
		// What reads the contents may have died of pages that the check had not come to. The check knows better what is wrong.
		out, err = ask(string(args), inspectInTurn)
	}
	switch {
	case errors.As(err, &crash):
		return nil, damaged("the file kills the process that opens it (%s)", printable(crash.Why))
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("inspect snapshot: %w", err)
	}
	var v verdict
	if err := json.Unmarshal(out, &v); err != nil {
		return nil, fmt.Errorf("inspect snapshot: unreadable answer of the child process: %w", err)
	}
	switch {
	case v.Damaged != "":
		return nil, damaged("%s", v.Damaged)
	case v.Revision != "":
		return nil, &kindError{ErrRevision, errors.New(v.Revision)}
	case v.Info == nil:
		return nil, fmt.Errorf("inspect snapshot: %s", v.Failed)
	}
	return v.Info, nil
}
