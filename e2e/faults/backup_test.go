package faults_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/backup"
	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks/fault"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

func TestARecordedClusterIsBackedUpWhole(t *testing.T) {
	t.Parallel()
	c := lab.StartRecorded(t, 0)
	o, ids := newOptions(t, c.URL)
	o.Sinks = named(mem.New())
	s := &scene{options: o, ids: ids}
	o.Now = clock(s.at.AddDate(2026, 0, 0))
	r, err := backup.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.opens(t, o.Sinks[0], r.Manifest)
	if r.Manifest.Plain.Size != int64(len(c.File)) || r.Manifest.Revision != c.Revision {
		t.Errorf("the manifest tells of %d bytes at revision %d", r.Manifest.Plain.Size, r.Manifest.Revision)
	}
}

func TestBackupHoldsItsPromisesWhateverCallFails(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.everywhere(t, operation{name: "backup", do: s.backup, judge: s.judgeBackup})
}

// TestBackupHoldsItsPromisesWhereNotAllIsReadBack asks stores for checksums: of one because today's first was read back, of the other always.
func TestBackupHoldsItsPromisesWhereNotAllIsReadBack(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.at = s.at.AddDate(0, 0, -1).Add(time.Hour)
	s.options.ReadBack = map[string]catalog.ReadBackMode{"a": catalog.ReadBackDaily, "b": catalog.ReadBackChecksum}
	judge := func(t *testing.T, told any, ss []catalog.Named, c cut) {
		t.Helper()
		s.judgeBackup(t, told, ss, c)
		if ran := told.(ranBackup); c.way.name == "" && (ran.err != nil || ran.result.Sinks[0].Full || ran.result.Sinks[1].Full) {
			t.Errorf("without a fault something was read back: %+v, %v", ran.result, ran.err)
		}
	}
	// All others, the lists of a day apart, are those of a backup that is read back.
	only := func(c fault.Call) bool {
		return c.Op == fault.Checksum || c.Op == fault.List && strings.HasPrefix(c.Key, "v1/"+clusterName+"/snapshots/") && strings.HasSuffix(c.Key, "T")
	}
	s.everywhere(t, operation{name: "backup by checksum", do: s.backup, judge: judge, only: only})
}

// ranBackup is what a backup told.
type ranBackup struct {
	result *backup.Result
	err    error
}

func (s *scene) backup(ctx context.Context, ss []catalog.Named) any {
	o := s.options
	o.Sinks, o.Now = ss, clock(s.at)
	r, err := backup.Run(ctx, o)
	return ranBackup{r, err}
}

// judgeBackup holds the first promise: a sink that is said to have the backup has it, it opens, and it is as new as the cluster was. And
// that a sink which lacks it was named.
func (s *scene) judgeBackup(t *testing.T, told any, ss []catalog.Named, c cut) {
	t.Helper()
	s.mustHoldAllOf(t, ss)
	s.judgeDelivery(t, told.(ranBackup), ss, c)
	if t.Failed() || c.way.name == "" {
		return
	}
	// The next run knows nothing of the trouble.
	again := *s
	again.at = s.at.AddDate(0, 0, 1)
	again.judgeDelivery(t, again.backup(t.Context(), ss).(ranBackup), ss, cut{})
}

func (s *scene) judgeDelivery(t *testing.T, ran ranBackup, ss []catalog.Named, c cut) {
	t.Helper()
	clean := c.way.name == ""
	if ran.err != nil {
		if clean {
			t.Errorf("no fault, and it fails: %v", ran.err)
		}
		if ran.result != nil {
			t.Errorf("a result and an error: %v", ran.err)
		}
		s.judgeNothing(t, ran.err, ss)
		return
	}
	m := ran.result.Manifest
	if m.Revision < m.LinearizableRevision || !m.Quorum || !m.ReadBack.OK && s.options.ReadBack == nil {
		t.Errorf("revision %d, linearizable %d, read back %v", m.Revision, m.LinearizableRevision, m.ReadBack)
	}
	failed := ran.result.Failed()
	if clean && len(failed) > 0 || len(failed) > 1 {
		t.Errorf("failed: %v", failed)
	}
	for i, d := range ran.result.Sinks {
		if d.Err == nil {
			s.mustHave(t, ss[i], m)
		} else if i != c.sink && !c.way.cutOff {
			t.Errorf("the sound sink %s was left: %v", d.Sink, d.Err)
		}
	}
	if unseen(m, c) && ran.result.Sinks[c.sink].Err == nil {
		t.Errorf("it could not be read back from %s, and that is no failure", ss[c.sink].Name)
	}
	if reasons := m.Suspect.Reasons; len(reasons) > 0 {
		t.Errorf("the backup continues the lineage, and is suspect: %q", reasons)
	}
	l := list(t, ss)
	if e, _, err := l.Resolve("latest", m.Started); err != nil || e.ID != m.ID {
		t.Errorf("latest is %s, %v, and not the new %s", e.ID, err, m.ID)
	}
}

// unseen tells whether a cut kept the backup's payload or manifest from being read back whole, or its checksum from being told.
func unseen(m catalog.Manifest, c cut) bool {
	of := c.call.Key == steady(m.Sealed.Key) || c.call.Key == steady(catalog.ManifestKey(m.Cluster, m.ID))
	return of && (c.call.Op == fault.Open || c.call.Op == fault.Read || c.call.Op == fault.Checksum) && !c.harmless
}

// mustHave looks for a backup in a sink: the same manifest as was told, and a payload that opens.
func (s *scene) mustHave(t *testing.T, in catalog.Named, m catalog.Manifest) {
	t.Helper()
	note, err := object(t.Context(), in, catalog.ManifestKey(m.Cluster, m.ID))
	if err != nil {
		t.Errorf("said to be in %s: %v", in.Name, err)
		return
	}
	want, err := catalog.Encode(m)
	if err != nil || !bytes.Equal(note, want) {
		t.Errorf("the manifest in %s is not what was told: %s (%v)", in.Name, note, err)
	}
	s.opens(t, in, m)
}

// judgeNothing looks at a run that failed altogether: nothing new is visible, unless the error says that it may be.
func (s *scene) judgeNothing(t *testing.T, err error, ss []catalog.Named) {
	t.Helper()
	var uncertain *backup.UncertainError
	if errors.As(err, &uncertain) {
		return
	}
	known := func(e catalog.Entry) bool {
		return slices.ContainsFunc(s.before.Entries, func(b catalog.Entry) bool { return b.ID == e.ID })
	}
	for _, e := range list(t, ss).Entries {
		if !known(e) {
			t.Errorf("the run failed with %v, and %s is visible", err, e.ID)
		}
	}
}
