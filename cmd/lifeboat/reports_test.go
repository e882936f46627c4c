package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// readOnly is what a sink is to a credential that may not write.
type readOnly struct {
	*mem.Sink
	asked int
}

func (r *readOnly) Put(_ context.Context, key string, _ io.ReaderAt, _ int64) error {
	r.asked++
	return &sinks.Error{Op: "put", Sink: "mem:", Key: key, Err: fs.ErrPermission}
}

func TestAReadOnlyCredentialIsAWarningOnce(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	g := &global{streams: streams{err: &said}, now: func() time.Time { return time.Unix(1800000000, 0) }}
	shut, open := &readOnly{Sink: mem.New()}, mem.New()
	b := &bucket{sinks: []catalog.Named{{Name: "mem:shut", Sink: shut}, {Name: "mem:open", Sink: open}, {Name: "mem:other", Sink: mem.New()}}}
	w, err := (&reporting{}).reporter(&flags{}, g, b)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []catalog.ID{"20261120T145000Z-r123456-7f3a9c", "20261120T145001Z-r123456-7f3a9c"} {
		e := catalog.Entry{Sinks: []string{"mem:shut", "mem:open"}}
		e.ID, e.Cluster = id, "prod"
		w.write(t.Context(), e, catalog.Report{Report: catalog.ReportVerify, OK: true})
	}
	if n := strings.Count(said.String(), "warning:"); n != 1 || !strings.Contains(said.String(), "may not write there") || shut.asked != 1 {
		t.Errorf("asked %d times, said %s", shut.asked, said.String())
	}
	for i, want := range []int{0, 2, 0} {
		n := 0
		for _, err := range b.sinks[i].List(t.Context(), "v1/prod/reports/") {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != want {
			t.Errorf("%d reports in %s", n, b.sinks[i].Name)
		}
	}
}

func TestAReportSaysOnlyWhatWasFoundOut(t *testing.T) {
	t.Parallel()
	whole := verifiedJSON{Sink: "a", OK: true, OpenedWith: "key"}
	rotten := verifiedJSON{Sink: "b", err: catalog.ErrDamaged, Error: "damaged"}
	closed := verifiedJSON{Sink: "c", err: &crypto.NoIdentityError{}, Error: "no identity"}
	down := verifiedJSON{Sink: "d", err: errors.New("connection refused"), Error: "connection refused"}
	absent := verifiedJSON{Sink: "e", Absent: true}
	for name, c := range map[string]struct {
		results            []verifiedJSON
		none, ok, deep, un bool
		copies             int
	}{
		"whole":                 {results: []verifiedJSON{whole, absent}, ok: true, deep: true, copies: 1},
		"one damaged":           {results: []verifiedJSON{whole, rotten}, deep: true, copies: 2},
		"one unreadable":        {results: []verifiedJSON{down, whole}, ok: true, deep: true, copies: 1},
		"nothing known":         {results: []verifiedJSON{down, absent}, none: true},
		"no identity":           {results: []verifiedJSON{closed, closed}, ok: true, un: true, copies: 2},
		"no identity and worse": {results: []verifiedJSON{closed, rotten}, un: true, copies: 2},
	} {
		r, some := reportOf(c.results, true)
		if some == c.none || some && (r.OK != c.ok || r.Deep != c.deep || r.Unopened != c.un || len(r.Sinks) != c.copies || r.Detail == "") {
			t.Errorf("%s: %v %+v", name, some, r)
		}
	}
}
