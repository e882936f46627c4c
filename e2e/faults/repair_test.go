package faults_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

func TestABackupThatRepairsHoldsItsPromisesWhateverCallFails(t *testing.T) {
	t.Parallel()
	s := newScene(t).missed(t)
	s.everywhere(t, operation{name: "backup that repairs", do: s.backup, judge: s.judgeRepair})
}

// missed is the scene in which the first sink could not be given the third backup, as a report in the second says.
func (s *scene) missed(t *testing.T) *scene {
	t.Helper()
	m := *s
	e := m.before.Entries[2]
	m.held[0], m.held[1] = maps.Clone(s.held[0]), maps.Clone(s.held[1])
	maps.DeleteFunc(m.held[0], func(key string, _ []byte) bool { return strings.Contains(key, string(e.ID)) })
	r := catalog.Report{
		ID: e.ID, Cluster: clusterName, Report: catalog.ReportDelivery, Time: e.Finished,
		Sinks: []catalog.SinkResult{{Sink: "a", Error: "connection refused"}, {Sink: "b", OK: true}},
	}
	data, err := catalog.EncodeReport(r)
	if err != nil {
		t.Fatal(err)
	}
	m.held[1][r.Key()] = data
	return &m
}

// judgeRepair holds what a repair tells to what is there, beside all that is asked of a backup.
func (s *scene) judgeRepair(t *testing.T, told any, ss []catalog.Named, c cut) {
	t.Helper()
	s.judgeBackup(t, told, ss, c)
	missed := s.before.Entries[2]
	ran := told.(ranBackup)
	if ran.err == nil {
		for _, r := range ran.result.Repaired {
			if r.ID != missed.ID || r.Sink != ss[0].Name {
				t.Errorf("%s was repaired in %s, which did not miss it", r.ID, r.Sink)
			} else if r.Err == nil {
				s.mustHave(t, ss[0], missed.Manifest)
			}
		}
		if c.way.name == "" && (len(ran.result.Repaired) != 1 || ran.result.Repaired[0].Err != nil) {
			t.Errorf("no fault, and it does not repair: %+v", ran.result.Repaired)
		}
	}
	if t.Failed() || c.way.name == "" {
		return
	}
	// Whatever was in the way, it comes in the end: the run that judgeBackup has made, or this one, repairs.
	again := *s
	again.at = s.at.AddDate(0, 0, 2)
	if ran := again.backup(t.Context(), ss).(ranBackup); ran.err != nil {
		t.Errorf("a run without faults: %v", ran.err)
	}
	s.mustHave(t, ss[0], missed.Manifest)
}
