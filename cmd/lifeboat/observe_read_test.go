package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/observe"
	"github.com/lifeboat-dr/lifeboat/sinks/file"
)

// shore is a cluster's backups in two directories, without any bytes in them that mattered, and the configuration that names them.
type shore struct {
	t       *testing.T
	dir     string
	a, b    catalog.Named
	config  string
	signers []note.Signer
	trust   catalog.Trust
	began   time.Time
}

func newShore(t *testing.T, cluster string) *shore {
	t.Helper()
	s := &shore{t: t, dir: t.TempDir(), began: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	private, public, err := note.GenerateKey(rand.Reader, "here")
	s.must(err)
	signer, err := note.NewSigner(private)
	s.must(err)
	s.signers = []note.Signer{signer}
	s.must(os.WriteFile(filepath.Join(s.dir, "trusted"), []byte(public+"\n"), 0o600))
	s.trust, err = trustOf(filepath.Join(s.dir, "trusted"))
	s.must(err)
	for name, at := range map[string]*catalog.Named{"a": &s.a, "b": &s.b} {
		s.must(os.Mkdir(filepath.Join(s.dir, name), 0o700))
		sink, err := file.New(filepath.Join(s.dir, name))
		s.must(err)
		*at = catalog.Named{Name: fmt.Sprint(sink), Sink: sink}
	}
	s.config = filepath.Join(s.dir, "lifeboat.yaml")
	s.must(os.WriteFile(s.config, []byte("clusters: [{name: prod, sinks: [near, far], "+cluster+"}]\n"+
		"sinks: {near: {url: \""+s.a.Name+"\"}, far: {url: \""+s.b.Name+"\"}}\nsigning: {trusted-keys-file: trusted}\n"), 0o600))
	return s
}

func (s *shore) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// backup makes the next one, so many minutes after the first.
func (s *shore) backup(minute int, revision, keys int64, signers []note.Signer, change func(*catalog.Manifest)) catalog.ID {
	s.t.Helper()
	at := s.began.Add(time.Duration(minute) * time.Minute)
	id := catalog.ID(fmt.Sprintf("%s-r%d-%06x", at.Format("20060102T150405Z"), revision, minute))
	hash := strings.Repeat("0123456789abcdef", 4)
	m := catalog.Manifest{
		ID: id, Cluster: "prod", Lineage: catalog.Lineage{EtcdClusterID: 0xa}, Started: at, Finished: at.Add(30 * time.Second), BucketTime: at.Add(20 * time.Second),
		Quorum: true, Revision: revision, LiveKeys: keys, Plain: catalog.Plain{Size: 4096, SHA256: hash},
		Sealed: catalog.Sealed{
			Key: catalog.SealedKey("prod", id, true), Size: 5, SHA256: hash, Compression: "zstd", Stanzas: []string{"X25519"}, Fingerprints: []string{"0123456789abcdef"},
		},
		ReadBack: catalog.ReadBack{Mode: "always", OK: true},
	}
	l, err := catalog.List(s.t.Context(), []catalog.Named{s.a, s.b}, "prod", s.trust)
	s.must(err)
	l.Link(&m)
	if change != nil {
		change(&m)
	}
	text, err := catalog.Encode(m, signers...)
	s.must(err)
	for _, sink := range []catalog.Named{s.a, s.b} {
		s.must(sink.Put(s.t.Context(), m.Sealed.Key, strings.NewReader("bytes"), 5))
		s.must(sink.Put(s.t.Context(), catalog.ManifestKey("prod", id), bytes.NewReader(text), int64(len(text))))
	}
	return id
}

func (s *shore) report(id catalog.ID, minute int, r catalog.Report, signers []note.Signer) {
	s.t.Helper()
	r.ID, r.Cluster, r.Time = id, "prod", s.began.Add(time.Duration(minute)*time.Minute)
	s.must(catalog.PutReport(s.t.Context(), s.a, r, signers...))
}

// read reads as an observer does.
func (s *shore) read() observe.Facts {
	s.t.Helper()
	c, err := readConfig(s.config)
	s.must(err)
	g := &global{now: func() time.Time { return s.began.Add(24 * time.Hour) }}
	f, err := c.targets(g, s.config)[0].Read(s.t.Context())
	s.must(err)
	return f
}

func (s *shore) at(minute int) time.Time { return s.began.Add(time.Duration(minute) * time.Minute) }

// TestAnObserverTellsWhatIsInTheSinks goes through a cluster's life: backups, of which some are lost and one is damaged, checks that pass and fail, a cluster
// that was wiped, and somebody who has no key.
func TestAnObserverTellsWhatIsInTheSinks(t *testing.T) {
	t.Parallel()
	s := newShore(t, `retention: {last: 1, floor: 2}`)
	var ids []catalog.ID
	for i := range 6 {
		ids = append(ids, s.backup(i, int64(100+i), 50, s.signers, func(m *catalog.Manifest) {
			m.Certificates = []catalog.Certificate{{Role: catalog.CertificateClient, NotAfter: s.at(400 * 24 * 60)}}
			m.BucketTime = m.Finished.Add(10 * time.Second)
		}))
	}
	s.must(s.a.Delete(t.Context(), catalog.ManifestKey("prod", ids[0])))
	s.must(s.b.Delete(t.Context(), catalog.ManifestKey("prod", ids[0])))
	s.must(s.b.Delete(t.Context(), catalog.ManifestKey("prod", ids[1])))
	s.must(s.b.Delete(t.Context(), catalog.SealedKey("prod", ids[2], true)))
	s.must(s.a.Delete(t.Context(), catalog.SealedKey("prod", ids[3], true)))
	s.must(s.b.Delete(t.Context(), catalog.SealedKey("prod", ids[3], true)))
	s.must(s.a.Put(t.Context(), "v1/prod/manifests/litter.note", strings.NewReader("x"), 1))

	s.report(ids[4], 9, catalog.Report{Report: catalog.ReportVerify}, nil) // of nobody who is trusted
	s.report(ids[4], 10, catalog.Report{Report: catalog.ReportVerify, OK: true, Deep: true}, s.signers)
	s.report(ids[1], 19, catalog.Report{Report: catalog.ReportVerify}, nil)
	s.report(ids[2], 12, catalog.Report{Report: catalog.ReportRehearse, OK: true, Rehearsal: &catalog.Rehearsal{
		RTOSeconds: 3,
		Phases:     []catalog.RehearsalPhase{{Name: "boot", Seconds: 1}, {Name: "upgrade", Etcd: "3.6", Seconds: 1}, {Name: "upgrade", Etcd: "3.7", Seconds: 2}, {Name: "teleport", Seconds: 7}},
	}}, s.signers)
	s.report(ids[5], 13, catalog.Report{Report: catalog.ReportRehearse, Rehearsal: &catalog.Rehearsal{RTOSeconds: 1, Remedy: "another etcd"}}, s.signers)
	s.report(ids[4], 14, catalog.Report{Report: catalog.ReportCrossCheck, OK: true}, s.signers)
	s.report(ids[5], 15, catalog.Report{Report: catalog.ReportCrossCheck, Detail: "m2 differs"}, s.signers)

	want := observe.Facts{
		Newest: &observe.Backup{
			Time: s.at(5), Took: 30 * time.Second, Plain: 4096, Sealed: 5, Revision: 105, LiveKeys: 50, Sequence: 6, Quorum: true, ClockAhead: 10 * time.Second, Recipients: 1,
		},
		Sinks:      []observe.Sink{{Name: "near", Up: true, Backups: 5, Damaged: 1}, {Name: "far", Up: true, Backups: 4, Missing: 1, Damaged: 2}},
		Restorable: 4, Proven: 2, Gaps: 1, Unreadable: 2, Suspect: map[observe.Reason]int{},
		Succeeded: map[observe.Check]time.Time{
			observe.Verify: s.at(10), observe.DeepVerify: s.at(10), observe.Rehearse: s.at(12), observe.CrossCheck: s.at(14),
		},
		Failed:       map[observe.Check]bool{observe.Verify: false, observe.DeepVerify: false, observe.Rehearse: true, observe.CrossCheck: true},
		Rehearsal:    map[string]time.Duration{"total": 3 * time.Second, "boot": time.Second, "upgrade": 3 * time.Second, "other": 7 * time.Second},
		Certificates: map[observe.Role]time.Time{observe.Client: s.at(400 * 24 * 60)},
		Attention:    map[string]bool{"copies": true, "member-differs": true, "unread": true},
	}
	if diff := cmp.Diff(want, s.read()); diff != "" {
		t.Errorf("before the cluster was wiped (-want +got):\n%s", diff)
	}

	s.backup(20, 3, 2, s.signers, nil)
	s.backup(21, 4, 2, s.signers, nil)
	s.backup(22, 5, 2, nil, nil)
	want.Suspect = map[observe.Reason]int{observe.Revision: 2, observe.LiveKeys: 2}
	want.Frozen = 2 // of five: the last is kept by a rule, and the two that are proven by the floor
	want.Unsigned, want.Unreadable = true, 4
	want.Attention["suspect"] = true
	for i := range want.Sinks {
		want.Sinks[i].Backups += 2
	}
	if diff := cmp.Diff(want, s.read()); diff != "" {
		t.Errorf("after the cluster was wiped (-want +got):\n%s", diff)
	}
}

// TestAFailureThatSomebodyWritesOverIsTold: who may write into the sinks and has no key puts something of his own in the place of the report that a
// backup is damaged, so that the one before it would be the last word.
func TestAFailureThatSomebodyWritesOverIsTold(t *testing.T) {
	t.Parallel()
	s := newShore(t, "")
	id := s.backup(0, 100, 50, s.signers, nil)
	s.report(id, 5, catalog.Report{Report: catalog.ReportVerify, OK: true, Deep: true}, s.signers)
	s.report(id, 10, catalog.Report{Report: catalog.ReportVerify, Deep: true}, s.signers)
	if f := s.read(); !f.Failed[observe.DeepVerify] || f.Unreadable != 0 {
		t.Fatalf("of a verification that failed it tells %+v", f)
	}
	over := catalog.Report{Report: catalog.ReportVerify, OK: true, Deep: true, ID: id, Cluster: "prod", Time: s.at(10)}
	s.must(s.a.Delete(t.Context(), over.Key())) // what a put does in a bucket that lets everything be put again
	s.must(catalog.PutReport(t.Context(), s.a, over))
	if f := s.read(); f.Unreadable != 1 || f.Proven != 0 {
		t.Errorf("nothing tells of it: %+v", f)
	}
	s.must(catalog.PutMark(t.Context(), s.b, catalog.Mark{Mark: catalog.MarkRelease, ID: id, Cluster: "prod", Time: s.at(11)}))
	if f := s.read(); f.Unreadable != 2 {
		t.Errorf("nothing tells of a mark that nobody signed: %+v", f)
	}
}

// TestAGoodBackupHidesNoFailureOfAnother that was read before it in the same run. It is over when that one is found whole, as deep as it was found damaged, or
// is there no more; what is found of one sink says nothing of the other.
func TestAGoodBackupHidesNoFailureOfAnother(t *testing.T) {
	t.Parallel()
	s := newShore(t, "")
	bad, good := s.backup(1, 101, 50, s.signers, nil), s.backup(2, 102, 50, s.signers, nil)
	minute := 10
	verify := func(id catalog.ID, deep bool, results ...catalog.SinkResult) {
		minute++
		ok := !slices.ContainsFunc(results, func(r catalog.SinkResult) bool { return !r.OK })
		s.report(id, minute, catalog.Report{Report: catalog.ReportVerify, OK: ok, Deep: deep, Sinks: results}, s.signers)
	}
	found := func(sink catalog.Named, ok bool) catalog.SinkResult {
		return catalog.SinkResult{Sink: sink.Name, OK: ok}
	}
	want := func(when string, shallow, deep bool) {
		t.Helper()
		if f := s.read().Failed; f[observe.Verify] != shallow || f[observe.DeepVerify] != deep {
			t.Errorf("%s: it tells of failures %v", when, f)
		}
	}
	verify(bad, false, found(s.a, false), found(s.b, true))
	verify(good, false, found(s.a, true), found(s.b, true))
	want("a run over both", true, false)
	verify(good, true, found(s.a, true), found(s.b, true))
	want("the good one was opened", true, false)
	verify(bad, false, found(s.b, true))
	want("its other copy is whole", true, false)
	verify(bad, false, found(s.a, true))
	want("it is whole again", false, false)
	verify(bad, true, found(s.a, true), found(s.b, false))
	verify(good, true, found(s.a, true), found(s.b, true))
	want("it does not open", true, true)
	verify(bad, false, found(s.a, true), found(s.b, true))
	want("only its digest is right", true, true)
	verify(bad, true, found(s.a, true), found(s.b, true))
	want("it opens again", false, false)
	verify(bad, true, catalog.SinkResult{Sink: "s3://elsewhere"})
	want("whoever calls the sinks by other names found it damaged", true, true)
	for _, sink := range []catalog.Named{s.a, s.b} {
		s.must(sink.Delete(t.Context(), catalog.ManifestKey("prod", bad)))
	}
	want("it is gone", false, false)
}

// TestAnObserverTellsOfOneSinkWhatTheOtherCannot: one of two is gone.
func TestAnObserverTellsOfOneSinkWhatTheOtherCannot(t *testing.T) {
	t.Parallel()
	s := newShore(t, "")
	s.backup(1, 101, 50, s.signers, nil)
	s.must(os.Rename(filepath.Join(s.dir, "a"), filepath.Join(s.dir, "lost")))
	f := s.read()
	if want := []observe.Sink{{Name: "near"}, {Name: "far", Up: true, Backups: 1}}; !cmp.Equal(f.Sinks, want) {
		t.Errorf("the sinks are %+v", f.Sinks)
	}
	if f.Newest == nil || f.Newest.Revision != 101 || f.Unsigned || f.Unreadable != 0 || !f.Attention["unread"] {
		t.Errorf("it tells %+v", f)
	}
	s.must(os.Rename(filepath.Join(s.dir, "b"), filepath.Join(s.dir, "lost-too")))
	c, err := readConfig(s.config)
	s.must(err)
	if f, err := c.targets(&global{now: time.Now}, s.config)[0].Read(t.Context()); err == nil {
		t.Errorf("without any sink it tells %+v", f)
	}
}

func TestAnEmptyBucketIsNoFailure(t *testing.T) {
	t.Parallel()
	s := newShore(t, "")
	f := s.read()
	if f.Newest != nil || f.Restorable != 0 || !f.Attention["none"] || len(f.Sinks) != 2 || !f.Sinks[1].Up {
		t.Errorf("it tells %+v", f)
	}
}

func TestWhatIsPlannedIsToldInSeconds(t *testing.T) {
	t.Parallel()
	s := newShore(t, `schedule: "*/15 8-18 * * 1-5", verify: {schedule: "@every 90m", deep: true}, `+
		`rehearse: {schedule: "0 3 * * *"}, timezone: Europe/Berlin, retention: {floor: 5}`)
	c, err := readConfig(s.config)
	s.must(err)
	got := c.targets(&global{now: func() time.Time { return s.began }}, s.config)[0].Plan
	want := observe.Plan{
		BackupEvery: 61*time.Hour + 15*time.Minute, Floor: 5,
		CheckEvery: map[observe.Check]time.Duration{observe.Verify: 90 * time.Minute, observe.DeepVerify: 90 * time.Minute, observe.Rehearse: 25 * time.Hour},
	}
	want.BackupEvery += time.Hour // over the weekend on which winter begins
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestEveryCodeOfWhatNeedsAPersonHasASeries reads the codes from the source: one that is left out would be told by nobody.
func TestEveryCodeOfWhatNeedsAPersonHasASeries(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"stale": false, "unexpected": false} // answers to flags of status
	for _, code := range attentionCodes() {
		known[code] = false
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`s\.attention\("([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			if _, ok := known[m[1]]; !ok {
				t.Errorf("%s: the code %s has no series", name, m[1])
			}
			known[m[1]] = true
		}
	}
	for code, used := range known {
		if !used {
			t.Errorf("nothing ever has the code %s", code)
		}
	}
}

func TestEveryExitCodeHasItsWord(t *testing.T) {
	t.Parallel()
	words := map[string]bool{}
	for code := range 13 {
		words[outcomeOf(code)] = true
		if (meaningOf(code) == "unexpected") != (outcomeOf(code) == "unexpected") {
			t.Errorf("%d is %q and %q", code, outcomeOf(code), meaningOf(code))
		}
	}
	if len(words) != 13 || outcomeOf(143) != "interrupted" || outcomeOf(130) != "interrupted" || outcomeOf(77) != "unexpected" {
		t.Errorf("the words are %v", words)
	}
}
