package catalog

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

const id1 = ID("20261120T145000Z-r123456-7f3a9c")

func TestIDsReadAsTheyWereMade(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 20, 15, 50, 0, 999, time.FixedZone("CET", 3600))
	id, err := NewID(start, 123456, bytes.NewReader([]byte{0x7f, 0x3a, 0x9c}))
	if err != nil || id != id1 {
		t.Fatalf("got %s, %v", id, err)
	}
	if got, err := ParseID(string(id)); err != nil || got != id || !got.Time().Equal(start.Truncate(time.Second)) || got.Revision() != 123456 {
		t.Errorf("%v %v %d %v", got, got.Time(), got.Revision(), err)
	}
	if _, err := NewID(start, 0, bytes.NewReader(make([]byte, 3))); err == nil {
		t.Error("an id was made for revision 0")
	}
	if _, err := NewID(start, 1, bytes.NewReader(nil)); err == nil {
		t.Error("an id was made without randomness")
	}
}

func TestIDsAreParsedStrictly(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "latest", "20261120T145000Z", "20261120T145000Z-r123456", "20261120T145000Z-r123456-", "20261120T145000Z-r123456-7f3a9",
		"20261120T145000Z-r123456-7f3a9cc", "20261120T145000Z-r123456-7F3A9C", "20261120T145000Z-r0123456-7f3a9c", "20261120T145000Z-r0-7f3a9c",
		"20261120T145000Z-r-1-7f3a9c", "20261120T145000Z-r+1-7f3a9c", "20261120T145000Z-r9223372036854775808-7f3a9c", "20261131T145000Z-r1-7f3a9c",
		"20261120T245000Z-r1-7f3a9c", "20261120T145060Z-r1-7f3a9c", "20261120t145000z-r1-7f3a9c", "20261120T145000-r1-7f3a9c",
		" 20261120T145000Z-r1-7f3a9c", "20261120T145000Z-r1-7f3a9c ", "20261120T145000.5Z-r1-7f3a9c", "20261120T145000Z-r1-7f3a9c/x", "../20261120T145000Z-r1-7f3a9c",
		"20261120T145000Z-r1-7f3a9g", "20261120T145000Z-r१-7f3a9c",
	} {
		if id, err := ParseID(bad); err == nil {
			t.Errorf("%q was taken for the id %s", bad, id)
		}
	}
}

func TestKeysAreThoseOfFormat1(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 9, 0, 0, 123456789, time.UTC)
	for got, want := range map[string]string{
		SealedKey("prod", id1, true):                      "v1/prod/snapshots/20261120T145000Z-r123456-7f3a9c.db.zst.age",
		SealedKey("prod", id1, false):                     "v1/prod/snapshots/20261120T145000Z-r123456-7f3a9c.db.zst",
		ManifestKey("prod", id1):                          "v1/prod/manifests/20261120T145000Z-r123456-7f3a9c.note",
		MarkKey("prod", id1, at, MarkHold):                "v1/prod/marks/20261120T145000Z-r123456-7f3a9c/20261121T090000.123456Z-hold.note",
		ReportKey("prod", id1, at, "rehearse"):            "v1/prod/reports/20261120T145000Z-r123456-7f3a9c/20261121T090000.123456Z-rehearse.note",
		SidecarKey("prod", id1, "0123456789abcdef"):       "v1/prod/keys/20261120T145000Z-r123456-7f3a9c/0123456789abcdef.age",
		SealedKey(strings.Repeat("c", 63), id1, true)[:3]: "v1/",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if err := sinks.CheckKey(got); err != nil && got != "v1/" {
			t.Error(err)
		}
	}
	if id, err := parseManifestKey("prod", ManifestKey("prod", id1)); err != nil || id != id1 {
		t.Errorf("%s %v", id, err)
	}
	if id, when, kind, err := parseMarkKey("prod", MarkKey("prod", id1, at, MarkAccept)); err != nil || id != id1 || !when.Equal(at.Truncate(time.Microsecond)) || kind != MarkAccept {
		t.Errorf("%s %s %s %v", id, when, kind, err)
	}
	for _, bad := range []string{
		"x", string(id1), string(id1) + "/x", string(id1) + "/20261121T090000.123456Z-hold", string(id1) + "/20261121T090000Z-hold.note",
		string(id1) + "/20261121T090000.123456Z-burn.note", string(id1) + "/x/20261121T090000.123456Z-hold.note", string(id1) + ".note",
	} {
		if _, _, _, err := parseMarkKey("prod", marks("prod")+bad); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s was taken for a mark: %v", bad, err)
		}
	}
}

func TestKeyOrderIsTimeOrder(t *testing.T) {
	t.Parallel()
	var keys []string
	start := time.Date(2026, 12, 31, 23, 59, 58, 0, time.UTC)
	for i := range 5 {
		id, err := NewID(start.Add(time.Duration(i)*time.Second), int64(9995+i*3), bytes.NewReader([]byte{byte(-i), 0, 0}))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, ManifestKey("c", id))
	}
	if !slices.IsSorted(keys) {
		t.Errorf("%q", keys)
	}
}

func TestClusterNamesArePlain(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "prod", "Prod-1.eu_west", strings.Repeat("x", 63)} {
		if err := CheckCluster(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", ".", "..", "a/b", "-a", "a-", ".a", "a b", "ä", "a\n", strings.Repeat("x", 64)} {
		if err := CheckCluster(bad); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(string(id1))
	f.Add("20261120T145000Z-r1-000000")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			return
		}
		if string(id) != s || id.Revision() < 1 || id.Time().IsZero() && id.Time().Format(idTime) != s[:16] {
			t.Errorf("%q is an id of %v, %d", s, id.Time(), id.Revision())
		}
		if got, err := parseManifestKey("c", ManifestKey("c", id)); got != id || err != nil {
			t.Errorf("%q does not survive its key: %v", s, err)
		}
		if err := sinks.CheckKey(ManifestKey("c", id)); err != nil {
			t.Error(err)
		}
	})
}
