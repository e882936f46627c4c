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

	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

func rehearsedAt(id ID, minute int, seconds float64) Report {
	r := reportAt(id, minute, ReportRehearse, true, false)
	r.Rehearsal = &Rehearsal{
		Members: 3, RTOSeconds: seconds, PlainBytes: 1 << 30,
		Phases: []RehearsalPhase{{"fetch", "", seconds, true}, {"checks", "3.7.3", 1, false}},
		Checks: []RehearsalCheck{{"hashkv", "3.7.3", "passed"}},
	}
	return r
}

func TestTheFiguresOfARehearsalReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	r := rehearsedAt(id1, 0, 12.25)
	data, err := EncodeReport(r, k.signer)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeReport(r.Key(), data, k.trust)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Rehearsal, got.Rehearsal); diff != "" {
		t.Error(diff)
	}
	for name, bad := range map[string]func(*Report){
		"of another kind":      func(r *Report) { r.Report = ReportVerify },
		"a recovery before it": func(r *Report) { r.Rehearsal.RTOSeconds = -1 },
		"a phase before it":    func(r *Report) { r.Rehearsal.Phases[0].Seconds = -1 },
		"no size":              func(r *Report) { r.Rehearsal.PlainBytes = -1 },
	} {
		r := rehearsedAt(id1, 0, 1)
		bad(&r)
		if _, err := EncodeReport(r); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
}

// TestAReportOfARehearsalFitsIntoANote whatever its words are, and tells of what failed before what passed.
func TestAReportOfARehearsalFitsIntoANote(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	for _, letter := range []string{"a", `"`, "\x01", "\u2028", "\xff", "<", "\U0001F6DF"} {
		wordy := strings.Repeat(letter, 1000)
		r := reportAt(id1, 0, ReportRehearse, false, false)
		r.Detail, r.Rehearsal = wordy, &Rehearsal{}
		for i := range 500 {
			result := "passed"
			if i >= 490 {
				result = "failed"
			}
			r.Rehearsal.Phases = append(r.Rehearsal.Phases, RehearsalPhase{wordy, wordy, 1.0 / 3, true})
			r.Rehearsal.Checks = append(r.Rehearsal.Checks, RehearsalCheck{wordy, wordy, result})
		}
		data, err := EncodeReport(r, k.signer)
		if err != nil {
			t.Errorf("%q: %v", letter, err)
			continue
		}
		got, err := DecodeReport(r.Key(), data, k.trust)
		if err != nil {
			t.Fatal(err)
		}
		failures := 0
		for _, c := range got.Rehearsal.Checks {
			if c.Result == "failed" {
				failures++
			}
		}
		if g := got.Rehearsal; failures != 10 || len(g.Checks)+g.ChecksLeftOut != 500 || len(g.Phases)+g.PhasesLeftOut != 500 {
			t.Errorf("%q: %d failures, %d checks and %d left out, %d phases and %d left out", letter, failures, len(g.Checks), g.ChecksLeftOut, len(g.Phases), g.PhasesLeftOut)
		}
		if len(r.Rehearsal.Checks) != 500 || r.Rehearsal.Checks[0].Name != wordy {
			t.Error("the caller's report was changed")
		}
	}
}

// TestReportsOfFormat1ReadForEver reads a report from before rehearsals told their figures.
func TestReportsOfFormat1ReadForEver(t *testing.T) {
	t.Parallel()
	const text = `{"format":1,"kind":"report","id":"20261120T145000Z-r123456-7f3a9c","cluster":"prod","report":"rehearse","time":"2026-11-20T15:00:00Z",` +
		`"ok":true,"deep":false,"unopened":false,"opened_with":"","sinks":[],"members":[],"detail":"3 members served and equalled the backup; recovery took 12.3 s",` +
		`"took_seconds":40,"etcd_versions":["3.7.3"],"tool":"1"}` + "\n"
	r, err := DecodeReport("v1/prod/reports/20261120T145000Z-r123456-7f3a9c/20261120T150000.000000Z-rehearse.note", []byte(text), Trust{})
	if err != nil || !r.OK || r.Rehearsal != nil {
		t.Errorf("%+v %v", r, err)
	}
	later := strings.Replace(text, `"tool"`, `"rehearsal":{"members":3,"rto_seconds":12.3,"what_comes_later":1},"tool"`, 1)
	r, err = DecodeReport("v1/prod/reports/20261120T145000Z-r123456-7f3a9c/20261120T150000.000000Z-rehearse.note", []byte(later), Trust{})
	if err != nil || r.Rehearsal == nil || r.Rehearsal.RTOSeconds != 12.3 || r.Rehearsal.Phases == nil || r.Rehearsal.Checks == nil {
		t.Errorf("%+v %v", r, err)
	}
}

// TestPastRehearsalsAreTheNewestOfAllBackups, from every sink, authentic ones only, and no more fetched than asked for.
func TestPastRehearsalsAreTheNewestOfAllBackups(t *testing.T) {
	t.Parallel()
	k, stranger := newKey(t, "prod"), newKey(t, "prod")
	stores := []*mem.Sink{mem.New(), mem.New()}
	var opened atomic.Int64
	var both []Named
	for i, store := range stores {
		both = append(both, Named{fmt.Sprintf("mem:%d", i), &faulty{Sink: store, open: func(ctx context.Context, key string) (io.ReadCloser, error) {
			opened.Add(1)
			return store.Open(ctx, key, 0)
		}}})
	}
	for i := range 100 {
		id := ID(fmt.Sprintf("%s-r%d-000000", day0().Add(time.Duration(i)*time.Hour).Format(idTime), 1000+i))
		r := rehearsedAt(id, 60*i, float64(i))
		report(t, Named{"", stores[i%2]}, r, k.signer)
		if i%10 == 0 {
			report(t, Named{"", stores[(i+1)%2]}, r, k.signer)
		}
		report(t, Named{"", stores[i%2]}, reportAt(id, 60*i+1, ReportVerify, true, true), k.signer)
		if i >= 95 {
			report(t, Named{"", stores[0]}, rehearsedAt(id, 60*i+2, 9999), stranger.signer)
		}
	}
	put(t, both[0], reports("prod")+"x", []byte("x"))
	opened.Store(0)
	past, err := Past(t.Context(), both, "prod", ReportRehearse, 20, k.trust)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range past.Reports {
		if r.Rehearsal == nil || r.Rehearsal.RTOSeconds != float64(99-i) {
			t.Fatalf("report %d is %+v", i, r)
		}
	}
	if len(past.Reports) != 20 || past.Ignored != 5 || len(past.Problems) != 0 {
		t.Errorf("%d reports, %d ignored, %v", len(past.Reports), past.Ignored, past.Problems)
	}
	if got := opened.Load(); got != 25 {
		t.Errorf("%d notes were fetched for 20 reports and 5 of nobody who is trusted", got)
	}
	if past, err := Past(t.Context(), both, "other", ReportRehearse, 20, k.trust); err != nil || len(past.Reports) != 0 {
		t.Errorf("another cluster: %+v %v", past, err)
	}
}

// TestManyForgedReportsDoNotHoldUpTheReader: who can write into a sink can write thousands.
func TestManyForgedReportsDoNotHoldUpTheReader(t *testing.T) {
	t.Parallel()
	k := newKey(t, "prod")
	s := Named{"mem:", mem.New()}
	report(t, s, rehearsedAt(id1, 0, 1), k.signer)
	for minute := range 100 {
		report(t, s, rehearsedAt(id1, 1+minute, 9999))
	}
	past, err := Past(t.Context(), []Named{s}, "prod", ReportRehearse, 10, k.trust)
	if err != nil || len(past.Reports) != 0 || past.Ignored != attempts*10 {
		t.Errorf("%d reports, %d ignored, %v", len(past.Reports), past.Ignored, err)
	}
	past, err = Past(t.Context(), []Named{s}, "prod", ReportRehearse, 50, k.trust)
	if err != nil || len(past.Reports) != 1 || past.Ignored != 100 {
		t.Errorf("%d reports, %d ignored, %v", len(past.Reports), past.Ignored, err)
	}
}

func TestPastReportsOfASinkThatIsDown(t *testing.T) {
	t.Parallel()
	up, down := Named{"mem:up", mem.New()}, Named{"mem:down", &faulty{Sink: mem.New(), list: errors.New("no route")}}
	report(t, up, rehearsedAt(id1, 0, 1))
	put(t, up, rehearsedAt(id1, 1, 1).Key(), []byte("x\n"))
	past, err := Past(t.Context(), []Named{down, up}, "prod", ReportRehearse, 10, Trust{})
	if err != nil || len(past.Reports) != 1 || len(past.Problems) != 2 {
		t.Errorf("%+v %v", past, err)
	}
	if _, err := Past(t.Context(), []Named{down}, "prod", ReportRehearse, 10, Trust{}); err == nil {
		t.Error("no sink could be read, and that is no error")
	}
}
