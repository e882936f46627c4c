package junit

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

func sample() *rehearsal.Report {
	started := time.Date(2026, 11, 20, 16, 50, 0, 0, time.FixedZone("", 7200))
	taken := started.Add(-time.Hour)
	return &rehearsal.Report{
		Reason: "hashkv on etcd 3.7.3: member a <&\"> differs", Started: started, Finished: started.Add(90500 * time.Millisecond),
		Backup: rehearsal.Backup{ID: "i", Cluster: "prod", Taken: &taken, Revision: 7, PlainBytes: 4096}, Members: 3,
		EtcdVersions: []string{"3.6.12", "3.7.3"}, RTOSeconds: 0.00001234,
		Phases: []rehearsal.Phase{{Name: "fetch", Seconds: 1, InRTO: true}, {Name: "checks", Etcd: "3.7.3", Seconds: 2}},
		Checks: []rehearsal.Check{
			{Name: "restore", Result: rehearsal.Passed, Detail: "whole", Seconds: 12.25},
			{Name: "hashkv", Etcd: "3.6.12", Result: rehearsal.Passed},
			{Name: "hashkv", Etcd: "3.7.3", Result: rehearsal.Failed, Detail: "member a <&\"> differs\x00\npanic: ]]> \x1b[31mred", Seconds: 0.0000001},
			{Name: "bump", Result: rehearsal.Untested, Detail: "no Kubernetes"},
			{Name: "of-a-later-version", Etcd: "3.7.3", Result: rehearsal.Passed},
		},
	}
}

func written(t *testing.T, r *rehearsal.Report) (text string, back suites) {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	return b.String(), back
}

func TestEveryCheckIsATest(t *testing.T) {
	t.Parallel()
	r := sample()
	_, back := written(t, r)
	s := back.Suites[0]
	if s.Name != "rehearsal of prod" || s.Tests != 5 || s.Failures != 1 || s.Skipped != 1 || s.Errors != 0 || back.Tests != 5 || back.Failures != 1 {
		t.Errorf("%+v", s)
	}
	if s.Timestamp != "2026-11-20T14:50:00" || s.Time != 90.5 {
		t.Errorf("at %s for %f s", s.Timestamp, float64(s.Time))
	}
	for i, c := range r.Checks {
		got := s.Cases[i]
		if !strings.HasPrefix(got.Name, c.Name) || !strings.HasSuffix(got.Name, c.Etcd) || (got.Failure != nil) != (c.Result == rehearsal.Failed) ||
			(got.Untested != nil) != (c.Result == rehearsal.Untested) {
			t.Errorf("%+v became %+v", c, got)
		}
	}
	if f := s.Cases[2].Failure; f.Message != "member a <&\"> differs\uFFFD" || !strings.Contains(f.Text, "panic: ]]>") {
		t.Errorf("the failure is %+v", f)
	}
	if s.Cases[0].Time != 12.25 || s.Cases[3].Untested.Message != "no Kubernetes" {
		t.Errorf("%+v", s.Cases)
	}
	if !strings.Contains(s.Out, "FAILED") || !slices.Contains(s.Properties, property{"backup", "i"}) || !slices.Contains(s.Properties, property{"phase.checks.3.7.3", "2.000"}) {
		t.Errorf("%v\n%s", s.Properties, s.Out)
	}
}

// TestARehearsalThatFailedIsNeverAllGreen even where no single check did.
func TestARehearsalThatFailedIsNeverAllGreen(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*rehearsal.Report{
		"no check at all": {Reason: "nothing was tested"},
		"untested only":   {Reason: "nothing was tested", Checks: []rehearsal.Check{{Name: "bump", Result: rehearsal.Untested}}},
	} {
		if _, back := written(t, r); back.Failures != 1 || back.Suites[0].Failures != 1 {
			t.Errorf("%s: %+v", name, back)
		}
	}
	r := sample()
	r.Passed, r.Reason, r.Checks = true, "", r.Checks[:2]
	if _, back := written(t, r); back.Failures != 0 || back.Tests != 2 {
		t.Errorf("%+v", back)
	}
}

// TestItIsWhatTheSchemasAllow walks what is written: the elements and attributes that the schema of Jenkins' xUnit plugin knows, those it demands,
// and no number with an exponent.
func TestItIsWhatTheSchemasAllow(t *testing.T) {
	t.Parallel()
	type rule struct{ children, attributes, required string }
	rules := map[string]rule{
		"":           {"testsuites", "", ""},
		"testsuites": {"testsuite", "name time tests failures disabled errors", ""},
		"testsuite":  {"properties testcase system-out system-err", "name tests failures errors time skipped timestamp hostname id package", "name tests failures errors"},
		"properties": {"property", "", ""},
		"property":   {"", "name value", "name value"},
		"testcase":   {"skipped error failure system-out system-err", "name time classname", "name"},
		"skipped":    {"", "type message", ""},
		"failure":    {"", "type message", ""},
		"system-out": {"", "", ""},
	}
	has := func(list, word string) bool { return slices.Contains(strings.Fields(list), word) }
	text, _ := written(t, sample())
	d, path := xml.NewDecoder(strings.NewReader(text)), []string{""}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			name, parent := e.Name.Local, path[len(path)-1]
			if !has(rules[parent].children, name) {
				t.Errorf("%s stands in %q", name, parent)
			}
			given := ""
			for _, a := range e.Attr {
				given += a.Name.Local + " "
				if !has(rules[name].attributes, a.Name.Local) {
					t.Errorf("%s has %s", name, a.Name.Local)
				}
				if a.Name.Local == "time" && strings.Trim(a.Value, "0123456789.") != "" {
					t.Errorf("the time of %s is %s", name, a.Value)
				}
			}
			for _, want := range strings.Fields(rules[name].required) {
				if !has(given, want) {
					t.Errorf("%s lacks %s", name, want)
				}
			}
			path = append(path, name)
		case xml.EndElement:
			path = path[:len(path)-1]
		}
	}
}
