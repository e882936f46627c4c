// Package junit writes the report of a rehearsal as JUnit XML, which CI servers show as tests. There is no standard of it; what is
// written here is what Jenkins and GitLab both read, and the schema of Jenkins allows. It refuses to judge: what passed and what failed is the report's.
package junit

import (
	"encoding/xml"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

// suites is the document.
type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Time     seconds  `xml:"time,attr"`
	Suites   []suite  `xml:"testsuite"`
}

type suite struct {
	Name       string     `xml:"name,attr"`
	Tests      int        `xml:"tests,attr"`
	Failures   int        `xml:"failures,attr"`
	Errors     int        `xml:"errors,attr"` // none: what could not be tested has no report
	Skipped    int        `xml:"skipped,attr"`
	Time       seconds    `xml:"time,attr"`
	Timestamp  string     `xml:"timestamp,attr"`
	Properties []property `xml:"properties>property"`
	Cases      []testCase `xml:"testcase"`
	Out        string     `xml:"system-out"`
}

type property struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type testCase struct {
	Name     string    `xml:"name,attr"`
	Class    string    `xml:"classname,attr"`
	Time     seconds   `xml:"time,attr"`
	Untested *untested `xml:"skipped"`
	Failure  *failure  `xml:"failure"`
	Out      string    `xml:"system-out,omitempty"`
}

type untested struct {
	Message string `xml:"message,attr"`
}

type failure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// seconds is a time as the schemas want it, without an exponent.
type seconds float64

// MarshalXMLAttr writes milliseconds and nothing smaller.
func (s seconds) MarshalXMLAttr(name xml.Name) (xml.Attr, error) {
	return xml.Attr{Name: name, Value: strconv.FormatFloat(float64(s), 'f', 3, 64)}, nil
}

// class is what CI servers file every check under, so that each has its history, whichever backup was rehearsed.
const class = "lifeboat.rehearse"

// timestamp is ISO 8601 without a zone, which some readers refuse. It is UTC.
const timestamp = "2006-01-02T15:04:05"

// Write writes the report. A rehearsal is a suite, a check on a server a test: what does not apply is skipped.
func Write(w io.Writer, r *rehearsal.Report) error {
	s := suite{
		Name: "rehearsal of " + subject(r), Time: took(r), Timestamp: r.Started.UTC().Format(timestamp), Properties: properties(r),
	}
	for _, c := range r.Checks {
		s.add(caseOf(c))
	}
	if !r.Passed && s.Failures == 0 {
		s.add(testCase{Name: "rehearsal", Class: class, Failure: &failure{r.Reason, "failed", r.Reason}})
	}
	var table strings.Builder
	if err := r.Table(&table); err != nil {
		return err
	}
	s.Out = table.String()
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suites{Name: "lifeboat rehearse", Tests: s.Tests, Failures: s.Failures, Time: s.Time, Suites: []suite{s}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *suite) add(c testCase) {
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Untested != nil {
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func caseOf(c rehearsal.Check) testCase {
	out := testCase{Name: c.Name, Class: class, Time: seconds(c.Seconds)}
	if c.Etcd != "" {
		out.Name += " on etcd " + c.Etcd
	}
	first, _, _ := strings.Cut(c.Detail, "\n")
	switch c.Result {
	case rehearsal.Failed:
		out.Failure = &failure{first, "failed", c.Detail}
	case rehearsal.Untested:
		out.Untested = &untested{first}
	default:
		out.Out = c.Detail
	}
	return out
}

// subject is what the suite is called after: the same every night, so that a CI server can follow it.
func subject(r *rehearsal.Report) string {
	if r.Backup.File != "" {
		return filepath.Base(r.Backup.File)
	}
	return r.Backup.Cluster
}

func took(r *rehearsal.Report) seconds { return seconds(r.Finished.Sub(r.Started).Seconds()) }

func properties(r *rehearsal.Report) []property {
	all := []property{
		{"backup", r.Backup.ID},
		{"revision", strconv.FormatInt(r.Backup.Revision, 10)},
		{"members", strconv.Itoa(r.Members)},
		{"etcd_versions", strings.Join(r.EtcdVersions, ", ")},
		{"rto_seconds", fmt.Sprintf("%.3f", r.RTOSeconds)},
		{"plain_bytes", strconv.FormatInt(r.Backup.PlainBytes, 10)},
		{"tool_version", r.Tool},
	}
	if r.Backup.Taken != nil {
		all = append(all, property{"taken", r.Backup.Taken.UTC().Format(time.RFC3339)})
	}
	for _, p := range r.Phases {
		name := "phase." + p.Name
		if p.Etcd != "" {
			name += "." + p.Etcd
		}
		all = append(all, property{name, fmt.Sprintf("%.3f", p.Seconds)})
	}
	return all
}
