package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// TestManyFaultsAreOneLine: somebody emptied or damaged a sink that holds a year of backups.
func TestManyFaultsAreOneLine(t *testing.T) {
	t.Parallel()
	var l catalog.Listing
	for i := range 1000 {
		id := catalog.ID(fmt.Sprintf("20261120T115000Z-r1-%06x", i))
		found := catalog.Report{Report: catalog.ReportVerify, Time: time.Unix(int64(i), 0).UTC(), Sinks: []catalog.SinkResult{{Sink: "b"}}}
		l.Entries = append(l.Entries, catalog.Entry{
			Manifest: catalog.Manifest{ID: id}, Sinks: []string{"a", "b", "c"}, Reports: []catalog.Report{found},
			Lacking: []catalog.Fault{{Sink: "a", What: "payload missing"}},
		})
	}
	s := &statusJSON{}
	s.faults(l)
	said := strings.Join(s.Attention, "\n")
	for _, want := range []string{"payload missing in a: 1000 backups, from 20261120T115000Z-r1-000000 to 20261120T115000Z-r1-0003e7", "found damaged in b: 1000 backups, from"} {
		if !strings.Contains(said, want) {
			t.Errorf("does not say %q: %s", want, said)
		}
	}
	if len(s.Attention) != 3 || len(s.Faults) != 2000 {
		t.Errorf("%d lines, %d faults", len(s.Attention), len(s.Faults))
	}
}

// TestAgesAreHonestWhateverTheClocksSay: a backup never looks younger because a clock was wrong.
func TestAgesAreHonestWhateverTheClocksSay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	minutes := func(n int) time.Time { return now.Add(time.Duration(n) * time.Minute) }
	for name, c := range map[string]struct {
		started, finished, bucket time.Time
		age                       time.Duration
		stale                     bool // at 30 minutes
		says                      string
	}{
		"fresh":                             {minutes(-10), minutes(-8), minutes(-9), 10 * time.Minute, false, ""},
		"counted from the start":            {minutes(-31), minutes(-2), minutes(-3), 31 * time.Minute, true, "stale"},
		"the bucket tells no time":          {minutes(-10), minutes(-8), time.Time{}, 10 * time.Minute, false, ""},
		"the bucket is a little behind":     {minutes(-10), minutes(-8), minutes(-10).Add(-30 * time.Second), 10 * time.Minute, false, ""},
		"the host was ahead by a day":       {minutes(-10), minutes(-8), minutes(-24 * 60), 24 * time.Hour, true, "are 23h50m0s apart"},
		"the host was behind by a day":      {minutes(-24 * 60), minutes(-24*60 + 2), minutes(-8), 24 * time.Hour, true, "apart"},
		"both are ahead":                    {minutes(60), minutes(61), minutes(61), -time.Hour, true, "in the future"},
		"the host ahead, the bucket honest": {minutes(60), minutes(61), minutes(-5), 5 * time.Minute, false, "apart"},
	} {
		e := catalog.Entry{Manifest: catalog.Manifest{ID: "20261120T115000Z-r1-000000", Started: c.started, Finished: c.finished, BucketTime: c.bucket, Quorum: true}}
		s := &statusJSON{}
		s.newest(e, now)
		s.judgeAge(30 * time.Minute)
		if got := seconds(s.Newest.AgeSeconds); got != c.age || s.Stale != c.stale {
			t.Errorf("%s: %s old, stale %v", name, got, s.Stale)
		}
		if said := strings.Join(s.Attention, "\n"); c.says == "" && said != "" || !strings.Contains(said, c.says) {
			t.Errorf("%s: says %q", name, said)
		}
	}
}

func TestADateInTheFutureIsCalledThat(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-72 * time.Hour: "dated 3d00h in the future", -90 * time.Second: "dated 1m30s in the future", 0: "0s ago", 90 * time.Minute: "1h30m ago",
	} {
		if got := agoText(d); got != want {
			t.Errorf("%s: %q instead of %q", d, got, want)
		}
	}
	var out bytes.Buffer
	s := &statusJSON{Time: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), Newest: &newestJSON{AgeSeconds: -3 * 24 * 3600}}
	if err := s.print(&global{streams: streams{out: &out}}); err != nil || !strings.Contains(out.String(), ", dated 3d00h in the future, revision") {
		t.Errorf("the page says\n%s%v", out.String(), err)
	}
}

func TestWhatARestoreLeftBehindIsOver(t *testing.T) {
	t.Parallel()
	first := []catalog.ID{"20261118T120000Z-r5000-00000a", "20261119T120000Z-r5-00000b", "20261120T120000Z-r5100-00000c"}
	l := catalog.Listing{Cluster: "prod"}
	for i, id := range first {
		e := catalog.Entry{Manifest: catalog.Manifest{ID: id, Sequence: int64(i + 1), Lineage: catalog.Lineage{First: id, EtcdClusterID: catalog.HexID(i)}}}
		if i > 0 {
			e.Suspect.Reasons = []string{"the revision went back"}
		}
		l.Entries = append(l.Entries, e)
	}
	for accepted, want := range map[bool][]string{
		false: {"accepted; frozen: retention removes nothing of it until the suspect one since " + string(first[2]), "went back; frozen", "SUSPECT: the revision went back"},
		true:  {"over, an accepted one follows", "SUSPECT: the revision went back; over, an accepted one follows", "accepted"},
	} {
		l.Entries[2].Accepted = accepted
		s := &statusJSON{}
		s.lineages(l.Without())
		if (len(s.Attention) == 0) != accepted {
			t.Errorf("accepted %v: says %q", accepted, s.Attention)
		}
		for i, h := range s.Lineages {
			if text := s.lineageText(i, h); !strings.Contains(text, want[i]) || accepted && strings.Contains(text, "frozen") {
				t.Errorf("accepted %v: lineage %d is %q", accepted, i+1, text)
			}
		}
	}
}

// TestCertificatesThatEndSoonNeedAPerson goes by what the newest backup saw.
func TestCertificatesThatEndSoonNeedAPerson(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		role catalog.CertificateRole
		ends time.Time
		says string
	}{
		"far off":            {catalog.CertificateClient, now.AddDate(0, 0, 30), ""},
		"ours":               {catalog.CertificateClient, now.AddDate(0, 0, 29), "our client certificate for etcd, as 20261120T115000Z-r1-000000 saw it, expires on 2026-12-19 12:00 UTC, in 29 days"},
		"a server's":         {catalog.CertificateServer, now.Add(47 * time.Hour), "a certificate of etcd's members, as 20261120T115000Z-r1-000000 saw it, expires on 2026-11-22 11:00 UTC, in 47 h"},
		"an authority's":     {catalog.CertificateCA, now, "an authority behind the certificates of etcd, as 20261120T115000Z-r1-000000 saw it, expired on 2026-11-20 12:00 UTC"},
		"of a later version": {"moon", now, ""},
	} {
		s := &statusJSON{}
		s.certificates(catalog.Entry{Manifest: catalog.Manifest{ID: "20261120T115000Z-r1-000000", Certificates: []catalog.Certificate{{Role: c.role, NotAfter: c.ends}}}}, now)
		if said := strings.Join(s.Attention, "; "); (said == "") != (c.says == "") || !strings.HasPrefix(said, c.says) || said != "" && s.codes[0] != "certificate" {
			t.Errorf("%s: %q %q", name, s.codes, said)
		}
	}
}
