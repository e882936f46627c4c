package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

func reportAt(id ID, minute int, kind ReportKind, ok, deep bool) Report {
	return Report{ID: id, Cluster: "prod", Report: kind, Time: day0().Add(time.Duration(minute) * time.Minute), OK: ok, Deep: deep, Detail: "as it was"}
}

func report(t testing.TB, s Named, r Report, signers ...note.Signer) {
	t.Helper()
	if err := PutReport(t.Context(), s, r, signers...); err != nil {
		t.Fatal(err)
	}
}

func TestReportsReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	r := Report{
		ID: id1, Cluster: "prod", Report: ReportVerify, Time: day0().Add(time.Microsecond), OK: true, Deep: true, OpenedWith: "0123456789abcdef",
		Sinks: []SinkResult{{Sink: "mem:a", OK: true}, {Sink: "s3://b", Error: "two\nlines"}}, Members: []MemberResult{{MemberID: 0xa, Name: "m1", OK: true}},
		Detail: strings.Repeat("ä", longestText), TookSeconds: 1.5, EtcdVersions: []string{"3.6.4"}, Tool: "test",
	}
	data, err := EncodeReport(r, k.signer)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeReport(r.Key(), data, k.trust)
	if err != nil {
		t.Fatal(err)
	}
	r.Format, r.Kind, r.Sinks[1].Error, r.Detail = Format, "report", "two lines", strings.Repeat("ä", longestText/2)+"…"
	if diff := cmp.Diff(r, got, cmpopts.IgnoreUnexported(Report{})); diff != "" {
		t.Error(diff)
	}
	if id, at, slot, err := parseReportKey("prod", r.Key()); id != r.ID || !at.Equal(r.Time) || slot != "verify-deep" || err != nil {
		t.Errorf("%s %s %s %v", id, at, slot, err)
	}
	plain, err := EncodeReport(Report{ID: id1, Cluster: "prod", Report: ReportDelivery, Time: day0()})
	if err != nil || strings.Contains(string(plain), "null") {
		t.Errorf("%s %v", plain, err)
	}
	for _, bad := range []Report{{}, {ID: id1, Cluster: "prod", Time: day0()}, {ID: id1, Cluster: "prod", Report: ReportVerify}, {ID: id1, Cluster: "prod", Report: ReportRehearse, Time: day0(), Deep: true}} {
		if _, err := EncodeReport(bad); err == nil {
			t.Errorf("%+v was written", bad)
		}
	}
}

// TestAReportUnderAnotherKeyIsNotAuthentic: what was signed for one backup, time and kind says nothing of another.
func TestAReportUnderAnotherKeyIsNotAuthentic(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	const id2 = ID("20261120T145001Z-r123456-7f3a9c")
	var all []Report
	for _, id := range []ID{id1, id2} {
		for _, cluster := range []string{"prod", "dev"} {
			for minute := range 3 {
				for _, kind := range []ReportKind{ReportVerify, ReportRehearse, ReportCrossCheck, ReportDelivery} {
					for _, deep := range []bool{false, true} {
						if r := reportAt(id, minute, kind, true, deep); !deep || kind == ReportVerify {
							r.Cluster = cluster
							all = append(all, r)
						}
					}
				}
			}
		}
	}
	for i, r := range all {
		data, err := EncodeReport(r, k.signer)
		if err != nil {
			t.Fatal(err)
		}
		for j, other := range all {
			_, err := DecodeReport(other.Key(), data, k.trust)
			if (i == j) != (err == nil) || i != j && !errors.Is(err, ErrNotAuthentic) {
				t.Errorf("%s under %s: %v", r.Key(), other.Key(), err)
			}
		}
	}
}

func TestReportNamesAreParsedStrictly(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"x", string(id1), string(id1) + "/x", string(id1) + "/20261121T090000.123456Z-verify", string(id1) + "/20261121T090000Z-verify.note",
		string(id1) + "/20261121T090000.123456Z-.note", string(id1) + "/20261121T090000.123456Z-Verify.note", string(id1) + "/20261121T090000.123456Z.note",
		string(id1) + "/x/20261121T090000.123456Z-verify.note", string(id1) + ".note",
	} {
		if _, _, _, err := parseReportKey("prod", reports("prod")+bad); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s was taken for a report: %v", bad, err)
		}
	}
}

// notOfTheBackup is a rehearsal that failed for a reason that lies elsewhere.
func notOfTheBackup(r Report) Report {
	r.Rehearsal = &Rehearsal{Remedy: "leave out --no-settle"}
	return r
}

func TestWhatProvesABackup(t *testing.T) {
	t.Parallel()
	verify, rehearse := ReportVerify, ReportRehearse
	r := func(minute int, kind ReportKind, ok, deep bool) Report { return reportAt(id1, minute, kind, ok, deep) }
	for name, c := range map[string]struct {
		reports []Report
		proven  int // minute; -1: not
	}{
		"nothing":                  {nil, -1},
		"only its digest":          {[]Report{r(1, verify, true, false)}, -1},
		"opened":                   {[]Report{r(1, verify, true, true)}, 1},
		"rehearsed":                {[]Report{r(1, rehearse, true, false)}, 1},
		"the newest counts":        {[]Report{r(1, rehearse, true, false), r(2, verify, true, true)}, 2},
		"its digest again":         {[]Report{r(1, verify, true, true), r(2, verify, true, false)}, 1},
		"its digest failed later":  {[]Report{r(1, verify, true, true), r(2, verify, false, false)}, -1},
		"a rehearsal failed later": {[]Report{r(1, verify, true, true), r(2, rehearse, false, false)}, -1},
		"a deep one failed later":  {[]Report{r(1, rehearse, true, false), r(2, verify, false, true)}, -1},
		"failed and then passed":   {[]Report{r(1, rehearse, false, false), r(2, verify, true, true)}, 2},
		"an upgrade failed later":  {[]Report{r(1, verify, true, true), notOfTheBackup(r(2, rehearse, false, false))}, 1},
		"an upgrade failed only":   {[]Report{notOfTheBackup(r(2, rehearse, false, false))}, -1},
		"damage, then an upgrade":  {[]Report{r(1, verify, true, true), r(2, verify, false, true), notOfTheBackup(r(3, rehearse, false, false))}, -1},

		"its digest failed and then it was opened":   {[]Report{r(1, verify, false, false), r(2, verify, true, true)}, 2},
		"what is of the cluster or of the sinks":     {[]Report{r(1, verify, true, true), r(2, ReportCrossCheck, false, false), r(3, ReportDelivery, false, false)}, 1},
		"a failure is not undone by its digest only": {[]Report{r(1, verify, false, true), r(2, verify, true, false)}, -1},
	} {
		e := Entry{Reports: c.reports}
		got, ok := e.Proven()
		if ok != (c.proven >= 0) || ok && !got.Time.Equal(day0().Add(time.Duration(c.proven)*time.Minute)) {
			t.Errorf("%s: %v %s", name, ok, got.Time)
		}
		if broken := e.Broken() != ""; broken && strings.Contains(name, "upgrade") && !strings.HasPrefix(name, "damage") {
			t.Errorf("%s: the backup is called broken: %s", name, e.Broken())
		}
		e.ReportsUnread = true
		if _, ok := e.Proven(); ok {
			t.Errorf("%s: proven although a report could not be read", name)
		}
	}
}

func TestListFindsTheNewestReportsOfAllSinks(t *testing.T) {
	t.Parallel()
	a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
	k, stranger := newKey(t, "prod"), newKey(t, "stranger")
	both := []Named{a, b}
	one := backupAt(t, both, 0, 0xa, 100, 1000, k)
	two := backupAt(t, both, 15, 0xa, 150, 1000, k)
	report(t, a, reportAt(one, 20, ReportVerify, true, true), k.signer)
	report(t, b, reportAt(one, 20, ReportVerify, true, true), k.signer)
	report(t, b, reportAt(one, 30, ReportVerify, true, false), k.signer)
	report(t, b, reportAt(one, 25, ReportVerify, false, false), k.signer)
	report(t, a, reportAt(two, 40, ReportVerify, true, true), stranger.signer)
	report(t, b, reportAt(two, 41, ReportVerify, true, true))
	report(t, b, reportAt(two, 35, ReportVerify, false, true), k.signer)
	report(t, b, reportAt(one, 28, ReportCrossCheck, true, false), k.signer)
	report(t, b, reportAt("20200101T000000Z-r1-000000", 29, ReportCrossCheck, false, false), k.signer)
	put(t, a, reports("prod")+string(one)+"/20261121T090000.123456Z-later-kind.note", []byte("of a later version"))
	put(t, a, reports("prod")+"README", []byte("x"))

	l := list(t, both, k.trust)
	minutes := func(e Entry) (all []string) {
		for _, r := range e.Reports {
			all = append(all, fmt.Sprintf("%s %v %v", r.Time.Sub(day0()), r.slot(), r.OK))
		}
		return all
	}
	if diff := cmp.Diff([]string{"20m0s verify-deep true", "30m0s verify true"}, minutes(l.Entries[0])); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"35m0s verify-deep false"}, minutes(l.Entries[1])); diff != "" {
		t.Error(diff)
	}
	if l.IgnoredReports != 2 || len(l.Problems) != 1 || l.CrossCheck == nil || l.CrossCheck.OK {
		t.Errorf("%d ignored, %v, %+v", l.IgnoredReports, l.Problems, l.CrossCheck)
	}
	e, skips, err := l.Resolve("latest-verified", day0())
	if err != nil || e.ID != one || len(skips) != 1 || skips[0].ID != two || !strings.Contains(skips[0].Reason, "verify-deep failed") {
		t.Errorf("latest-verified: %s %v %v", e.ID, skips, err)
	}
	// Where no key is trusted, anybody's report counts.
	if e, _, err := list(t, both, Trust{}).Resolve("latest-verified", day0()); err != nil || e.ID != two {
		t.Errorf("without trusted keys: %s %v", e.ID, err)
	}
}

func TestLatestVerifiedSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	a := Named{"mem:a", mem.New()}
	one := backupAt(t, []Named{a}, 0, 0xa, 100, 1000, key{})
	two := backupAt(t, []Named{a}, 15, 0xb, 5, 10, key{})
	resolve := func() (Entry, []Skip, error) { return list(t, []Named{a}, Trust{}).Resolve("latest-verified", day0()) }
	if _, skips, err := resolve(); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "none is proven") || len(skips) != 2 {
		t.Errorf("%v %v", skips, err)
	}
	report(t, a, reportAt(two, 16, ReportRehearse, true, false))
	if _, _, err := resolve(); !errors.Is(err, ErrNotFound) {
		t.Errorf("a suspect one was chosen: %v", err)
	}
	report(t, a, reportAt(one, 16, ReportRehearse, true, false))
	if e, skips, err := resolve(); err != nil || e.ID != one || len(skips) != 1 || !strings.Contains(skips[0].Reason, "suspect") {
		t.Errorf("%s %v %v", e.ID, skips, err)
	}
}

func TestAReportThatCannotBeReadProvesNothing(t *testing.T) {
	t.Parallel()
	store := mem.New()
	a := Named{"mem:", store}
	one := backupAt(t, []Named{a}, 0, 0xa, 100, 1000, key{})
	report(t, a, reportAt(one, 16, ReportRehearse, true, false))
	newest := reportAt(one, 17, ReportRehearse, false, false)
	report(t, a, newest)
	broken := Named{"mem:", &faulty{Sink: store, open: func(ctx context.Context, key string) (io.ReadCloser, error) {
		if key == newest.Key() {
			return nil, &sinks.Error{Op: "open", Err: errors.New("connection reset")}
		}
		return store.Open(ctx, key, 0)
	}}}
	l := list(t, []Named{broken}, Trust{})
	if _, ok := l.Entries[0].Proven(); ok || len(l.Problems) != 1 || !l.Entries[0].ReportsUnread {
		t.Errorf("proven %v, %v", ok, l.Problems)
	}
	// Another sink that has it is as good.
	b := Named{"mem:b", mem.New()}
	report(t, b, newest)
	if l := list(t, []Named{broken, b}, Trust{}); len(l.Problems) > 0 || len(l.Entries[0].Reports) != 1 || l.Entries[0].Reports[0].OK {
		t.Errorf("%v %+v", l.Problems, l.Entries[0].Reports)
	}
}

// TestDamageFoundSinkBySinkIsRemembered: a verification of one sink neither hides nor undoes what was found in another.
func TestDamageFoundSinkBySinkIsRemembered(t *testing.T) {
	t.Parallel()
	for _, deep := range []bool{false, true} {
		a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
		both := []Named{a, b}
		id := backupAt(t, both, 0, 0xa, 100, 1000, key{})
		looked := func(minute int, sink string, ok, deep bool) {
			r := reportAt(id, minute, ReportVerify, ok, deep)
			r.Sinks = []SinkResult{{Sink: sink, OK: ok}}
			report(t, a, r)
		}
		looked(20, "mem:a", false, false)
		looked(21, "mem:b", false, deep)
		if e := list(t, both, Trust{}).Entries[0]; e.Lost() == "" || len(e.Faults()) != 2 {
			t.Errorf("deep %v: lost %q, %v", deep, e.Lost(), e.Faults())
		}
		looked(22, "mem:a", true, true)
		if e := list(t, both, Trust{}).Entries[0]; e.Lost() != "" || len(e.Faults()) != 1 || e.Faults()[0].Sink != "mem:b" {
			t.Errorf("deep %v: lost %q, %v", deep, e.Lost(), e.Faults())
		}
	}
}

// TestDamageInOneSinkIsRememberedHoweverOftenAnotherIsVerified: somebody has stopped verifying the one in which it was found.
func TestDamageInOneSinkIsRememberedHoweverOftenAnotherIsVerified(t *testing.T) {
	t.Parallel()
	a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
	id := backupAt(t, []Named{a, b}, 0, 0xa, 100, 1000, key{})
	bad := reportAt(id, 1, ReportVerify, false, false)
	bad.Sinks = []SinkResult{{Sink: "mem:a"}}
	report(t, a, bad)
	for night := range 40 {
		r := reportAt(id, 2+night, ReportVerify, true, false)
		r.Sinks = []SinkResult{{Sink: "mem:b", OK: true}}
		report(t, b, r)
	}
	if e := list(t, []Named{a, b}, Trust{}).Entries[0]; len(e.Faults()) != 1 || e.Faults()[0].Sink != "mem:a" {
		t.Errorf("faults %v", e.Faults())
	}
}

// TestAReportThatWasWrittenOverProvesNothing: what it said may have been that the backup is damaged.
func TestAReportThatWasWrittenOverProvesNothing(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	a := Named{"mem:a", mem.New()}
	id := backupAt(t, []Named{a}, 0, 0xa, 100, 1000, k)
	put(t, a, reportAt(id, 19, ReportRehearse, false, false).Key(), []byte("x"))
	report(t, a, reportAt(id, 20, ReportVerify, true, true), k.signer)
	if _, ok := list(t, []Named{a}, k.trust).Entries[0].Proven(); !ok {
		t.Error("not proven, for a report that is older than the proof")
	}
	put(t, a, reportAt(id, 21, ReportVerify, false, true).Key(), []byte("x"))
	if e := list(t, []Named{a}, k.trust).Entries[0]; !e.ReportsUnread {
		t.Error("a report that was written over was passed by")
	}
}

// TestAReportDatedInTheFutureDoesNotHideLaterOnes: it was made by a host whose clock ran ahead, and damage was found after it.
func TestAReportDatedInTheFutureDoesNotHideLaterOnes(t *testing.T) {
	t.Parallel()
	for _, found := range []Report{reportAt("", 0, ReportVerify, false, true), reportAt("", 0, ReportVerify, false, false), reportAt("", 0, ReportRehearse, false, false)} {
		a, b := Named{"mem:a", mem.New()}, Named{"mem:b", mem.New()}
		both := []Named{a, b}
		id := backupAt(t, both, 0, 0xa, 100, 1000, key{})
		ahead := reportAt(id, 0, ReportVerify, true, true)
		ahead.Time = time.Now().AddDate(1, 0, 0)
		report(t, a, ahead)
		if _, ok := list(t, both, Trust{}).Entries[0].Proven(); !ok {
			t.Fatal("not proven, with a report of which only the date is wrong")
		}
		time.Sleep(2 * time.Millisecond) // the store's clock must have moved
		found.ID, found.Time = id, time.Now()
		report(t, a, found)
		report(t, b, ahead) // somebody copies it later, which makes it no newer
		if r, ok := list(t, both, Trust{}).Entries[0].Proven(); ok {
			t.Errorf("%s found damage, and still it is proven by the report dated %s", found.slot(), r.Time)
		}
	}
}

func TestAYearOfNightlyReportsIsNotFetched(t *testing.T) {
	t.Parallel()
	store := mem.New()
	s := Named{"mem:", store}
	m := sample(id1)
	const n, nights = 200, 60
	for i := range n {
		m.ID = ID(fmt.Sprintf("%s-r%d-000000", day0().Add(time.Duration(i)*time.Minute).Format(idTime), i+1000))
		m.Revision, m.Started, m.Sealed.Key = m.ID.Revision(), m.ID.Time(), SealedKey("prod", m.ID, true)
		put(t, store, ManifestKey("prod", m.ID), encode(t, m))
		for night := range nights {
			report(t, s, reportAt(m.ID, night*60*24, ReportVerify, true, night%7 == 0))
			report(t, s, reportAt(m.ID, night*60*24, ReportCrossCheck, true, false))
		}
	}
	var opened atomic.Int64
	counting := &faulty{Sink: store, open: func(ctx context.Context, key string) (io.ReadCloser, error) {
		if strings.HasPrefix(key, reports("prod")) {
			opened.Add(1)
		}
		return store.Open(ctx, key, 0)
	}}
	l := list(t, []Named{{"mem:a", counting}, {"mem:b", counting}}, Trust{})
	for _, e := range l.Entries {
		if r, ok := e.Proven(); !ok || r.Time.Sub(day0()) != 56*24*time.Hour {
			t.Fatalf("%s: proven %v at %s", e.ID, ok, r.Time)
		}
	}
	if got := opened.Load(); got != 2*n+1 { // the newest deep one and the newest of the digest, and one cross-check in all
		t.Errorf("%d reports were fetched of %d", got, 2*n*nights)
	}
}

func FuzzDecodeReport(f *testing.F) {
	r := reportAt(id1, 0, ReportVerify, true, true)
	data, err := EncodeReport(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Key(), data)
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		r, err := DecodeReport(key, data, Trust{})
		if err != nil {
			return
		}
		if _, _, slot, err := parseReportKey(r.Cluster, key); err != nil || slot != r.slot() {
			t.Errorf("a report under a key that is none: %s %v", slot, err)
		}
	})
}
