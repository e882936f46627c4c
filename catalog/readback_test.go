package catalog

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// TestOnlyWhatWasReadInFullCountsAsThat is what the floor of retention stands on where nothing is proven.
func TestOnlyWhatWasReadInFullCountsAsThat(t *testing.T) {
	t.Parallel()
	full, asked := SinkReadBack{"a", ReadBackDaily, true}, SinkReadBack{"b", ReadBackChecksum, false}
	for name, c := range map[string]struct {
		back  ReadBack
		in    []string
		mode  ReadBackMode
		ok    bool
		whole bool

		lacking []Fault
	}{
		"an older manifest":                       {ReadBack{Mode: ReadBackAlways, OK: true}, []string{"x"}, ReadBackAlways, true, true, nil},
		"one of before that was not":              {ReadBack{Mode: ReadBackChecksum}, []string{"x"}, ReadBackChecksum, false, false, nil},
		"everywhere":                              {ReadBackOf([]SinkReadBack{full}), []string{"x"}, ReadBackDaily, true, true, nil}, // by another name
		"in one of two, which has it":             {ReadBackOf([]SinkReadBack{full, asked}), []string{"a", "b"}, ReadBackChecksum, false, true, nil},
		"in one of two, which has it not":         {ReadBackOf([]SinkReadBack{full, asked}), []string{"b"}, ReadBackChecksum, false, false, nil},
		"nowhere":                                 {ReadBackOf([]SinkReadBack{asked}), []string{"b"}, ReadBackChecksum, false, false, nil},
		"in one, and it lies in one that is none": {ReadBackOf([]SinkReadBack{full, asked}), []string{"c"}, ReadBackChecksum, false, false, nil},
		"in one of two, which is damaged":         {ReadBackOf([]SinkReadBack{full, asked}), []string{"a", "b"}, ReadBackChecksum, false, false, []Fault{{"a", "payload missing"}}},
	} {
		m := sample(id1)
		m.ReadBack = c.back
		got, _, err := Decode(encode(t, m), Trust{})
		if err != nil {
			t.Fatal(err)
		}
		e := Entry{Manifest: got, Sinks: c.in, Lacking: c.lacking}
		if got.ReadBack.Mode != c.mode || got.ReadBack.OK != c.ok || e.ReadInFull() != c.whole {
			t.Errorf("%s: %+v, in full %v", name, got.ReadBack, e.ReadInFull())
		}
	}
}

func TestModesOfReadingBackAreThree(t *testing.T) {
	t.Parallel()
	for _, m := range ReadBackModes() {
		if got, err := ParseReadBackMode(string(m)); got != m || err != nil {
			t.Errorf("%s is read as %s, %v", m, got, err)
		}
	}
	if got, err := ParseReadBackMode(""); got != ReadBackAlways || err != nil {
		t.Errorf("nothing is read as %s, %v", got, err)
	}
	for _, wrong := range []string{"Always", "never", "weekly", " daily"} {
		if got, err := ParseReadBackMode(wrong); got != "" || !errors.Is(err, ErrUsage) {
			t.Errorf("%q is read as %q, %v", wrong, got, err)
		}
	}
}

func TestPayloadsOfADayAreFoundWithAManifestOrWithout(t *testing.T) {
	t.Parallel()
	s := Named{"mem:", mem.New()}
	today := []ID{"20261120T000000Z-r1-000000", "20261120T235959Z-r2-000000"}
	for i, id := range append([]ID{"20261119T235959Z-r1-000000", "20261121T000000Z-r3-000000"}, today...) {
		put(t, s, SealedKey("prod", id, i%2 == 0), []byte("x"))
	}
	put(t, s, payloads("prod")+"20261120T-by-somebody", []byte("x"))
	if got, err := Uploaded(t.Context(), s, "prod", day0().In(time.FixedZone("here", 7200))); err != nil || !slices.Equal(got, today) {
		t.Errorf("%v, %v", got, err)
	}
}
