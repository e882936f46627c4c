package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// took is a report of a rehearsal that passed on three members.
func took(seconds float64) *rehearsal.Report {
	r := &rehearsal.Report{Passed: true, Members: 3, RTOSeconds: seconds, Backup: rehearsal.Backup{Cluster: "prod", PlainBytes: 3 << 30}}
	r.Phases = []rehearsal.Phase{{Name: "fetch", Seconds: seconds, InRTO: true}}
	r.Checks = []rehearsal.Check{{Name: rehearsal.CheckHash, Etcd: "3.7.3", Result: rehearsal.Passed, Detail: "d", Seconds: 1}}
	return r
}

func TestARecoveryThatTakesMuchLongerIsToldOf(t *testing.T) {
	t.Parallel()
	sink := mem.New()
	ss := []catalog.Named{{Name: "mem:", Sink: sink}}
	for night := range 3 {
		r := rehearsed(took(10))
		r.ID, r.Cluster, r.Time = "20261120T145000Z-r123456-7f3a9c", "prod", time.Date(2026, 11, 20+night, 3, 0, 0, 0, time.UTC)
		r.Rehearsal.PlainBytes = 1 << 30
		if err := catalog.PutReport(t.Context(), ss[0], r); err != nil {
			t.Fatal(err)
		}
	}
	for seconds, want := range map[float64]string{
		11: "",
		25: "lifeboat: warning: recovery took 25.0 s, 2.5 times the 10.0 s that it took before (median of 3); the database: 1.0 GiB before, 3.0 GiB now\n",
	} {
		var said bytes.Buffer
		r := took(seconds)
		follow(t.Context(), &global{streams: streams{err: &said}}, r, ss, catalog.Trust{})
		if said.String() != want || r.Trend == nil || r.Trend.Compared != 3 {
			t.Errorf("%f: %q, %+v", seconds, said.String(), r.Trend)
		}
	}
}

// mute is a sink that lists nothing.
type mute struct{ *mem.Sink }

func (mute) List(context.Context, string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) { yield(sinks.Object{}, errors.New("no route")) }
}

// TestWithoutThePastARehearsalStands: that no report can be read is a warning.
func TestWithoutThePastARehearsalStands(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	r := took(10)
	follow(t.Context(), &global{streams: streams{err: &said}}, r, []catalog.Named{{Name: "mem:", Sink: mute{mem.New()}}}, catalog.Trust{})
	if !strings.Contains(said.String(), "compared with none") || r.Trend != nil {
		t.Errorf("%q %+v", said.String(), r.Trend)
	}
	if err := r.Table(io.Discard); err != nil {
		t.Error(err)
	}
}

// TestTheReportBesideTheBackupTellsWhatWasMeasured, so that the next rehearsal can compare.
func TestTheReportBesideTheBackupTellsWhatWasMeasured(t *testing.T) {
	t.Parallel()
	got := rehearsed(took(12.25))
	if f := got.Rehearsal; !got.OK || f.Members != 3 || f.RTOSeconds != 12.25 || f.PlainBytes != 3<<30 ||
		f.Phases[0] != (catalog.RehearsalPhase{Name: "fetch", Seconds: 12.25, InRTO: true}) || f.Checks[0] != (catalog.RehearsalCheck{Name: "hashkv", Etcd: "3.7.3", Result: "passed"}) {
		t.Errorf("%+v", f)
	}
}
