package catalog

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

const day = 24 * time.Hour

// attic is two sinks: one whole backup in both, and beside it what each case adds to the first. Objects are as old as their
// names say: "old" ones have an even random part, and were put three days ago.
func attic(t *testing.T) (*deleting, []Named) {
	t.Helper()
	d := &deleting{Sink: mem.New(), age: func(key string) time.Time {
		if strings.Contains(key, "-00001") {
			return day0().Add(-3 * day)
		}
		return day0()
	}}
	ss := []Named{{"mem:a", d}, {"mem:b", mem.New()}}
	id := backupAt(t, ss, 0, 0xa, 100, 1000, key{})
	put(t, d, SealedKey("prod", id, true), []byte("sealed"))
	return d, ss
}

func named(old bool, n int) ID {
	age := 2
	if old {
		age = 1
	}
	return ID(fmt.Sprintf("20261101T000000Z-r7-0000%d%d", age, n))
}

func TestOnlyWhatIsOldAndNobodysIsAnOrphan(t *testing.T) {
	t.Parallel()
	d, ss := attic(t)
	var want []string
	add := func(orphan bool, key string) {
		t.Helper()
		put(t, d, key, []byte("x"))
		if orphan {
			want = append(want, key)
		}
	}
	mark := func(s Named, id ID, kind MarkKind, at time.Time) {
		t.Helper()
		if err := PutMark(t.Context(), s, Mark{ID: id, Cluster: "prod", Mark: kind, Time: at}); err != nil {
			t.Fatal(err)
		}
	}
	// In key order, as they are compared.
	add(true, SidecarKey("prod", named(true, 1), "0123456789abcdef"))
	add(false, SidecarKey("prod", named(false, 1), "0123456789abcdef"))
	mark(ss[0], named(true, 2), MarkHold, day0())
	mark(ss[0], named(true, 2), MarkRelease, day0().Add(time.Second))
	want = append(want, MarkKey("prod", named(true, 2), day0(), MarkHold), MarkKey("prod", named(true, 2), day0().Add(time.Second), MarkRelease))
	mark(ss[1], named(true, 3), MarkHold, day0()) // held, though only the other sink says so
	add(true, ReportKey("prod", named(true, 1), day0(), "cross-check"))
	add(false, ReportKey("prod", named(true, 1), day0().Add(time.Hour), "cross-check"))
	add(true, ReportKey("prod", named(true, 1), day0(), "verify"))
	add(true, SealedKey("prod", named(true, 1), true))
	add(false, SealedKey("prod", named(false, 1), true)) // an upload that is done, before its manifest
	add(true, SealedKey("prod", named(true, 2), false))
	add(false, SealedKey("prod", named(true, 3), true))
	add(false, SealedKey("prod", named(true, 4), true)) // its manifest is damaged
	add(false, ManifestKey("prod", named(true, 4)))
	add(false, SealedKey("prod", named(true, 5), true)) // its manifest is in the other sink only
	put(t, ss[1], ManifestKey("prod", named(true, 5)), []byte("x"))
	add(false, SealedKey("prod", named(true, 6), true)+".backup")         // somebody's own
	add(false, SealedKey("prod", ID("20261120T110000Z-r7-000017"), true)) // made an hour ago by its id, whatever the time that a copy brought with it
	add(false, "v1/prod/snapshots/README-00001")
	add(false, SealedKey("other", named(true, 1), true))
	if diff := cmp.Diff(want, orphans(t, ss, day0())); diff != "" {
		t.Error(diff)
	}
}

func TestAWrongClockMakesNoOrphan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		newest, now time.Time
		want        int
	}{
		"both are right": {day0(), day0(), 1},
		"the host's runs ahead of a quiet bucket": {day0().Add(-3 * day).Add(time.Hour), day0().Add(10 * 365 * day), 0},
		"the host's is behind":                    {day0(), day0().Add(-3 * day), 0},
		"the store's jumped once":                 {day0().Add(10 * 365 * day), day0().Add(-3 * day).Add(time.Hour), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, ss := attic(t)
			put(t, d, SealedKey("prod", named(true, 1), true), []byte("x"))
			d.age = func(key string) time.Time {
				if strings.Contains(key, "-00001") {
					return day0().Add(-3 * day)
				}
				return c.newest
			}
			if got := orphans(t, ss[:1], c.now); len(got) != c.want {
				t.Errorf("orphans are %q", got)
			}
		})
	}
}

func TestWhereNoManifestIsLeftNothingIsAnOrphan(t *testing.T) {
	t.Parallel()
	d, ss := attic(t)
	put(t, d, SealedKey("prod", named(true, 1), true), []byte("x"))
	l := list(t, ss, Trust{})
	for _, s := range ss {
		if err := s.Delete(t.Context(), ManifestKey("prod", l.Entries[0].ID)); err != nil {
			t.Fatal(err)
		}
	}
	if got := orphans(t, ss, day0()); len(got) > 0 {
		t.Errorf("orphans are %q", got)
	}
}

func TestAnOrphanWhoseManifestComesMeanwhileIsNone(t *testing.T) {
	t.Parallel()
	d, ss := attic(t)
	key := SealedKey("prod", named(true, 1), true)
	put(t, d, key, []byte("x"))
	st, err := TakeStock(t.Context(), ss, "prod")
	if err != nil {
		t.Fatal(err)
	}
	put(t, d, ManifestKey("prod", named(true, 1)), []byte("x"))
	o := Orphan{named(true, 1), sinks.Object{Key: key}}
	if err := st.RemoveOrphan(t.Context(), 0, o); err == nil {
		t.Error("it was removed")
	}
	if _, err := d.Open(t.Context(), key, 0); err != nil {
		t.Error(err)
	}
}

func TestThousandsOfOrphansAreToldOneByOne(t *testing.T) {
	t.Parallel()
	d, ss := attic(t)
	for i := range 3000 {
		put(t, d, SealedKey("prod", ID(fmt.Sprintf("20261101T000000Z-r%d-000011", i+1)), true), []byte("x"))
	}
	st, err := TakeStock(t.Context(), ss, "prod")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(st.Sinks[0].Names) + len(st.Sinks[0].Sizes); n != 2 {
		t.Errorf("the stock keeps %d names and sizes, of one backup", n)
	}
	seen := 0
	for _, err := range st.Orphans(t.Context(), 0, day0()) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 10 {
			break
		}
	}
	if n := len(orphans(t, ss, day0())); seen != 10 || n != 3000 {
		t.Errorf("%d and %d", seen, n)
	}
}

func TestStockIsNotTakenOfASinkThatCannotBeListed(t *testing.T) {
	t.Parallel()
	d, ss := attic(t)
	down := &sinks.Error{Op: "list", Sink: "mem:a", Err: errors.New("down")}
	ss[0].Sink = &faulty{Sink: d, list: down}
	if _, err := TakeStock(t.Context(), ss, "prod"); !errors.Is(err, down) {
		t.Error(err)
	}
}
