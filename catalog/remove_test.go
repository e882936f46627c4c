package catalog

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// deleting is a sink whose deletions are noted and can go wrong, and whose objects have the age they are told.
type deleting struct {
	sinks.Sink
	deleted []string
	fail    func(n int, key string) error // before anything happened
	age     func(key string) time.Time
}

func (d *deleting) Delete(ctx context.Context, key string) error {
	d.deleted = append(d.deleted, key)
	if d.fail != nil {
		if err := d.fail(len(d.deleted)-1, key); err != nil {
			return err
		}
	}
	return d.Sink.Delete(ctx, key)
}

func (d *deleting) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		for o, err := range d.Sink.List(ctx, prefix) {
			if d.age != nil {
				o.ModTime = d.age(o.Key)
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// furnished commits two backups with everything that can lie beside one, and returns the older.
func furnished(t *testing.T) (*deleting, Named, Entry) {
	t.Helper()
	d := &deleting{Sink: mem.New()}
	s := Named{"mem:a", d}
	for minute := range 2 {
		id := backupAt(t, []Named{s}, minute, 0xa, 100, 1000, key{})
		put(t, s, SealedKey("prod", id, true), []byte("sealed"))
		put(t, s, SidecarKey("prod", id, strings.Repeat("ab", 8)), []byte("key"))
		for _, kind := range []string{"verify", "verify-deep", "cross-check"} {
			put(t, s, ReportKey("prod", id, day0(), kind), []byte("{}\n"))
		}
		if err := PutMark(t.Context(), s, Mark{ID: id, Cluster: "prod", Mark: MarkAccept, Time: day0()}); err != nil {
			t.Fatal(err)
		}
	}
	return d, s, list(t, []Named{s}, Trust{}).Entries[0]
}

func keysOf(t *testing.T, s sinks.Sink, id ID) (keys []string) {
	t.Helper()
	for o, err := range s.List(t.Context(), "v1/") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(o.Key, string(id)) {
			keys = append(keys, o.Key)
		}
	}
	return keys
}

func TestRemovingTakesTheManifestFirstAndTheMarksLast(t *testing.T) {
	t.Parallel()
	d, s, e := furnished(t)
	other := list(t, []Named{s}, Trust{}).Entries[1]
	untouched := keysOf(t, s, other.ID)
	for range 2 { // the second time there is nothing to do
		d.deleted = nil
		if err := Remove(t.Context(), s, e); err != nil {
			t.Fatal(err)
		}
	}
	// The comparison of the members is of the cluster.
	if diff := cmp.Diff([]string{ReportKey("prod", e.ID, day0(), "cross-check")}, keysOf(t, s, e.ID)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(untouched, keysOf(t, s, other.ID)); diff != "" {
		t.Error(diff)
	}

	d, s, e = furnished(t)
	if err := Remove(t.Context(), s, e); err != nil {
		t.Fatal(err)
	}
	if d.deleted[0] != ManifestKey("prod", e.ID) || !strings.Contains(d.deleted[len(d.deleted)-1], "/marks/") || len(d.deleted) != 6 {
		t.Errorf("deleted in the order %q", d.deleted)
	}
}

func TestARemovalThatStopsAnywhereLeavesTheWholeBackupOrNone(t *testing.T) {
	t.Parallel()
	down := &sinks.Error{Op: "delete", Sink: "mem:a", Err: errors.New("down")}
	for from := range 6 {
		d, s, e := furnished(t)
		all := keysOf(t, s, e.ID)
		d.fail = func(n int, _ string) error {
			if n >= from {
				return down
			}
			return nil
		}
		err := Remove(t.Context(), s, e)
		var left *RemoveError
		if !errors.As(err, &left) || !errors.Is(err, down) || left.Stays != (from == 0) {
			t.Errorf("from %d: %v", from, err)
		}
		l := list(t, []Named{s}, Trust{})
		if there := l.Entries[0].ID == e.ID; there != (from == 0) {
			t.Errorf("from %d: listed %t", from, there)
		}
		if from == 0 {
			if diff := cmp.Diff(all, keysOf(t, s, e.ID)); diff != "" {
				t.Error(diff)
			}
			continue
		}
		// What is left is collected by a later run, but for the comparison of the members while it is the newest.
		d.fail = nil
		d.age = func(key string) time.Time {
			if strings.Contains(key, string(e.ID)) {
				return day0()
			}
			return day0().Add(OrphanAge + time.Second)
		}
		for _, o := range orphans(t, []Named{s}, day0().Add(OrphanAge+time.Second)) {
			if err := s.Delete(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
		if left := keysOf(t, s, e.ID); len(left) > 0 {
			t.Errorf("from %d: left are %q", from, left)
		}
	}
}

func TestARemovalIsSettledByLooking(t *testing.T) {
	t.Parallel()
	t.Run("an answer that was lost", func(t *testing.T) {
		t.Parallel()
		d, s, e := furnished(t)
		d.fail = func(_ int, key string) error {
			if key != ManifestKey("prod", e.ID) {
				return nil
			}
			_ = d.Sink.Delete(t.Context(), key)
			return &sinks.Error{Op: "delete", Sink: "mem:a", Key: key, Err: errors.New("connection reset")}
		}
		if err := Remove(t.Context(), s, e); err != nil {
			t.Error(err)
		}
	})
	t.Run("an older version that was uncovered", func(t *testing.T) {
		t.Parallel()
		d, s, e := furnished(t)
		v := &uncovering{deleting: d, key: ManifestKey("prod", e.ID), versions: 3}
		s.Sink = v
		if err := Remove(t.Context(), s, e); err != nil || len(keysOf(t, d, e.ID)) != 1 {
			t.Errorf("%v, left %q", err, keysOf(t, d, e.ID))
		}
		v.versions = 1 << 30
		put(t, d, v.key, []byte("x"))
		put(t, d, e.Manifest.Sealed.Key, []byte("sealed"))
		err := Remove(t.Context(), s, e)
		if left := (*RemoveError)(nil); !errors.As(err, &left) || !left.Stays {
			t.Errorf("a manifest that never goes: %v", err)
		}
		if r, err := d.Open(t.Context(), e.Manifest.Sealed.Key, 0); err != nil {
			t.Error("the payload went before its manifest")
		} else if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("a lock", func(t *testing.T) {
		t.Parallel()
		d, s, e := furnished(t)
		all := keysOf(t, s, e.ID)
		d.fail = func(_ int, key string) error {
			return &sinks.Error{Op: "delete", Sink: "mem:a", Key: key, Err: sinks.Because("kept until 2030", sinks.ErrLocked, fs.ErrPermission)}
		}
		if err := Remove(t.Context(), s, e); !errors.Is(err, sinks.ErrLocked) {
			t.Error(err)
		}
		if diff := cmp.Diff(all, keysOf(t, s, e.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

// uncovering has several versions of one object: Delete takes the newest away.
type uncovering struct {
	*deleting
	key      string
	versions int
}

func (u *uncovering) Delete(ctx context.Context, key string) error {
	if key == u.key && u.versions > 1 {
		u.versions--
		return nil
	}
	return u.deleting.Delete(ctx, key)
}

func (u *uncovering) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	return u.deleting.Open(ctx, key, off)
}

func orphans(t *testing.T, ss []Named, now time.Time) (keys []string) {
	t.Helper()
	st, err := TakeStock(t.Context(), ss, "prod")
	if err != nil {
		t.Fatal(err)
	}
	for i := range ss {
		for o, err := range st.Orphans(t.Context(), i, now) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, o.Key)
		}
	}
	slices.Sort(keys)
	return keys
}
